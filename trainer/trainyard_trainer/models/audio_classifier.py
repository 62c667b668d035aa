"""Family audioClassifier: convolutions over a spectrogram, and dense layers."""

import keras

from trainyard_api.audio import Audio
from trainyard_api.program import KerasProgram
from trainyard_trainer.encoding.sounds import SPECTROGRAM, SoundInputs
from trainyard_trainer.models.head import dense_head

_MIDDLE, _SPREAD = -20.0, 25.0
"""Decibels of a usual spectrogram, which lies between -100 and about 50."""


def build_audio_classifier(program: KerasProgram, inputs: SoundInputs, outputs: int) -> keras.Model:
    """Return the model for spectrograms in decibels, float32 [rows, frames, mel bins]."""
    audio = program.audio or Audio()
    spectrogram = keras.Input((inputs.frames, inputs.mel_bins), name=SPECTROGRAM)
    x = keras.layers.Rescaling(1 / _SPREAD, offset=-_MIDDLE / _SPREAD)(spectrogram)
    x = keras.layers.Reshape((inputs.frames, inputs.mel_bins, 1))(x)
    for filters in audio.filters:
        x = keras.layers.Conv2D(filters, 3, padding="same", activation=program.activation)(x)
        x = keras.layers.MaxPooling2D(2, padding="same")(x)
    pooled = keras.layers.Concatenate()(
        [keras.layers.GlobalAveragePooling2D()(x), keras.layers.GlobalMaxPooling2D()(x)]
    )
    return keras.Model({SPECTROGRAM: spectrogram}, dense_head(program, pooled, outputs))
