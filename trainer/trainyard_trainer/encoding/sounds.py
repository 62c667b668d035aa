"""WAV files as spectrograms in the TensorFlow graph: the very operations that prepare the training rows are served."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from trainyard_trainer.data.sounds import SOUNDS, SoundStatistics
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.wav import EXTENSIBLE_BYTES, PLAIN_HEADER
from trainyard_trainer.encoding.input_names import bytes_input
from trainyard_trainer.tensors import Array, Arrays, Samples, Tensor, Tensors, TensorSpec

SPECTROGRAM = "spectrogram"
"""What a model is given: float32 [rows, frames, mel bins], in decibels."""


@dataclass(frozen=True, slots=True)
class SoundInputs:
    """Shape of a model's input: a spectrogram's length in time, and its bands."""

    frames: int
    mel_bins: int


class SoundEncoder(tf.Module):
    """Turns one column of WAV files into spectrograms."""

    missing: tuple[str, ...] = ()

    def __init__(self, facts: SoundStatistics) -> None:
        super().__init__()
        self._facts = facts
        self._input = bytes_input(facts.column)
        self.inputs = SoundInputs(facts.frames, facts.mel_bins)
        self._spectrograms = Spectrograms(facts)
        in_graph = tf.function(self._spectrograms, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
        # Not as an attribute of its own: that would be saved with the model a second time.
        self._encode = lambda files: in_graph(files)

    def signature(self) -> dict[str, TensorSpec]:
        """Return what a client sends: the contents of WAV files."""
        return {self._input: tf.TensorSpec([None], tf.string)}

    def encode(self, features: Arrays) -> dict[str, Tensor]:
        """Return the spectrograms of files as the data side delivers them."""
        with tf.device("/CPU:0"):  # where files are decoded anyway
            return {SPECTROGRAM: self._encode(tf.constant(features[SOUNDS], tf.string))}

    def from_client(self, columns: Tensors) -> dict[str, Tensor]:
        """Return the spectrograms of what a client sent."""
        return {SPECTROGRAM: self._spectrograms(columns[self._input])}

    def samples(self, raw: RawBatch) -> Samples:
        """Return rows twice, with sounds that are empty, silent, fast and in stereo."""
        files = np.concatenate([self._facts.arrays(raw)[SOUNDS], _odd_sounds(self._facts.rate)])
        return {self._input: files.tolist()}, {SOUNDS: files}


def _odd_sounds(rate: int) -> Array:
    noise = np.random.default_rng(1).uniform(-1, 1, (rate // 10, 2)).astype(np.float32)
    sounds = [(noise[:0, :1], rate), (0 * noise[:, :1], rate), (noise, rate), (noise[:, :1], 2 * rate - 1)]
    return np.array([tf.audio.encode_wav(*sound).numpy() for sound in sounds], object)


class Spectrograms(tf.Module):
    """Decodes, mixes down, resamples, cuts or pads, and turns into a mel spectrogram, each sound by itself.

    By itself, because Keras' layer takes its lowest level from the loudest sound of a batch: answers would depend on
    what else is asked.
    """

    def __init__(self, facts: SoundStatistics) -> None:
        super().__init__()
        self._rate, self._samples = facts.rate, facts.samples
        self._shape = (facts.frames, facts.mel_bins)
        self._mel = keras.layers.MelSpectrogram(
            fft_length=facts.fft_length,
            sequence_stride=facts.stride,
            sampling_rate=facts.rate,
            num_mel_bins=facts.mel_bins,
            min_freq=facts.lowest,
            max_freq=facts.highest,
        )

    def __call__(self, files: Tensor) -> Tensor:
        """Return the spectrogram of each file, float32 [rows, frames, mel bins]."""
        spec = tf.TensorSpec(self._shape, tf.float32)
        return tf.map_fn(self._spectrogram, files, fn_output_signature=spec)

    def _spectrogram(self, file: Tensor) -> Tensor:
        sound = tf.audio.decode_wav(_with_plain_header(file))
        samples = self._of_one_rate(tf.reduce_mean(sound.audio, axis=1), sound.sample_rate)
        return tf.ensure_shape(tf.transpose(self._mel(samples)), self._shape)

    def _of_one_rate(self, samples: Tensor, rate: Tensor) -> Tensor:
        """Return as many samples as count, at the model's rate."""
        wanted = -(-self._samples * tf.cast(rate, tf.int64) // self._rate)
        cut = samples[:wanted]
        there = tf.pad(cut, [[0, wanted - tf.size(cut, tf.int64)]])
        resampled = tf.cond(rate == self._rate, lambda: there, lambda: self._resample(there))
        return tf.ensure_shape(resampled, [self._samples])

    def _resample(self, samples: Tensor) -> Tensor:
        # A windowed sinc that also keeps out what the new rate cannot hold, in the shape of an image of one line.
        line = samples[tf.newaxis, :, tf.newaxis]
        return tf.image.resize(line, [1, self._samples], method="lanczos3", antialias=True)[0, :, 0]


def _with_plain_header(file: Tensor) -> Tensor:
    """Return a WAV file with the header that TensorFlow knows, as `wav.as_plain` does."""
    length = tf.strings.length(file)

    def goes_on(at: Tensor) -> Tensor:
        return tf.logical_and(at + 8 <= length, tf.strings.substr(file, tf.minimum(at, length), 4) != b"fmt ")

    (at,) = tf.while_loop(goes_on, lambda at: (_behind(file, at, length),), (tf.minimum(12, length),))
    is_extensible = tf.logical_and(
        at + 8 + EXTENSIBLE_BYTES <= length,
        tf.logical_and(
            tf.strings.substr(file, tf.minimum(at + 4, length), 6) == b"\x28\x00\x00\x00\xfe\xff",
            tf.strings.substr(file, tf.minimum(at + 32, length), 2) == b"\x01\x00",
        ),
    )
    parts = (
        tf.strings.substr(file, 0, at),
        tf.constant(PLAIN_HEADER),
        tf.strings.substr(file, tf.minimum(at + 10, length), 14),
        tf.strings.substr(file, tf.minimum(at + 8 + EXTENSIBLE_BYTES, length), length),
    )
    return tf.where(is_extensible, tf.strings.join(parts), file)


def _behind(file: Tensor, at: Tensor, length: Tensor) -> Tensor:
    """Return where the chunk after that at a place begins; chunks are padded to an even length."""
    size = tf.cast(tf.io.decode_raw(tf.strings.substr(file, at + 4, 4), tf.uint8), tf.int64)
    bytes_ = tf.reduce_sum(size * tf.constant([1, 1 << 8, 1 << 16, 1 << 24], tf.int64))
    behind = tf.cast(at, tf.int64) + 8 + bytes_ + bytes_ % 2
    return tf.cast(tf.minimum(behind, tf.cast(length, tf.int64)), tf.int32)
