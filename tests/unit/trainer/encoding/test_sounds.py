"""Sounds become spectrograms, whatever their rate, length and number of channels."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.sounds import tone, wav
from trainyard_trainer.data.sounds import SoundStatistics
from trainyard_trainer.encoding.sounds import Spectrograms

FACTS = SoundStatistics(
    column="clip", rate=8000, samples=4000, fft_length=512, stride=128, mel_bins=40, lowest=20.0, highest=4000.0
)


def spectrograms(*files: bytes, facts: SoundStatistics = FACTS) -> Any:
    return Spectrograms(facts)(tf.constant(files)).numpy()


@pytest.mark.parametrize(("fft_length", "stride"), [(512, 128), (400, 160), (301, 97)])
def test_a_spectrogram_is_that_of_keras(fft_length: int, stride: int) -> None:
    layer = keras.layers.MelSpectrogram(
        fft_length=fft_length, sequence_stride=stride, sampling_rate=8000, num_mel_bins=40
    )
    sound = tone(440) + tone(1000, loudness=0.1)
    decoded = tf.audio.decode_wav(wav(sound)).audio[:, 0]
    facts = replace(FACTS, fft_length=fft_length, stride=stride)

    (found,) = spectrograms(wav(sound), facts=facts)

    assert found.shape == (facts.frames, 40)
    np.testing.assert_allclose(found.T, layer(decoded), atol=1e-3)


def test_stereo_is_mixed_down() -> None:
    left, right = tone(440), tone(1500)

    stereo, mono = spectrograms(wav(np.stack([left, right], 1)), wav((left + right) / 2))

    np.testing.assert_allclose(stereo, mono, atol=0.2)


def test_a_longer_sound_is_cut_off_and_a_shorter_one_followed_by_silence() -> None:
    long, whole, short, padded, empty, silent = spectrograms(
        wav(tone(440, seconds=3)),
        wav(tone(440)),
        wav(tone(440, seconds=0.1)),
        wav(np.concatenate([tone(440, seconds=0.1), np.zeros(3200)])),
        wav(np.zeros(0)),
        wav(np.zeros(4000)),
    )

    np.testing.assert_array_equal(long, whole)
    np.testing.assert_array_equal(short, padded)
    np.testing.assert_array_equal(empty, silent)
    assert np.isfinite(empty).all()


@pytest.mark.parametrize("rate", [11025, 16000, 44100, 96000])
def test_a_sound_of_another_rate_is_heard_like_one_of_the_models_own(rate: int) -> None:
    def heard(own: int) -> bytes:
        return wav(tone(440, rate=own) + tone(1200, rate=own, loudness=0.2), own)

    own, other = spectrograms(heard(8000), heard(rate))[:, 3:-3]  # at the ends it begins and stops all at once

    loud = own > own.max() - 40
    np.testing.assert_allclose(other[loud], own[loud], atol=1.5)
    assert loud.mean() > 0.1


def test_what_the_models_rate_cannot_hold_does_not_come_back_as_another_tone() -> None:
    (found,) = spectrograms(wav(tone(6000, rate=44100), 44100))
    (audible,) = spectrograms(wav(tone(2000, rate=44100), 44100))

    assert found[5:-5].max() < audible.max() - 40


def test_a_sound_is_heard_the_same_whatever_else_is_asked() -> None:
    quiet, loud = wav(tone(440, loudness=0.001)), wav(tone(440, loudness=1))

    np.testing.assert_allclose(spectrograms(quiet, loud)[0], spectrograms(quiet)[0], atol=1e-4)
