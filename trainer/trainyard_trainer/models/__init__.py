"""The model families that a TrainingJob can ask for by name."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from trainyard_api.program import KerasProgram
from trainyard_trainer.models.audio_classifier import build_audio_classifier
from trainyard_trainer.models.cnn import build_cnn
from trainyard_trainer.models.linear import build_linear
from trainyard_trainer.models.mlp import build_mlp
from trainyard_trainer.models.svm import build_svm
from trainyard_trainer.models.text_classifier import build_text_classifier

Builder = Callable[[KerasProgram, Any, int], keras.Model]
"""Builds a keras.Model from a program, the shape of its input (the encoder's `inputs`) and the number of its outputs.

The model takes the encoder's dictionary and returns float32 [rows, outputs] without a final activation: the task knows
what the numbers mean, and losses are exact only before it.
"""

FAMILIES: Mapping[str, Builder] = {
    "audioClassifier": build_audio_classifier,
    "cnn": build_cnn,
    "linear": build_linear,
    "mlp": build_mlp,
    "svm": build_svm,
    "textClassifier": build_text_classifier,
}
