"""The model families that a TrainingJob can ask for by name."""

from collections.abc import Callable, Mapping
from typing import Any

from trainyard_operator.api.program import KerasProgram
from trainyard_trainer.features import ModelInputs
from trainyard_trainer.models.linear import build_linear
from trainyard_trainer.models.mlp import build_mlp
from trainyard_trainer.models.svm import build_svm

Builder = Callable[[KerasProgram, ModelInputs, int], Any]
"""Builds a keras.Model from a program, the shape of its input and the number of its outputs.

The model takes the encoder's dictionary and returns float32 [rows, outputs] without a final activation: the task knows
what the numbers mean, and losses are exact only before it.
"""

FAMILIES: Mapping[str, Builder] = {"linear": build_linear, "mlp": build_mlp, "svm": build_svm}
