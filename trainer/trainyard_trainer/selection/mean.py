"""The weighted mean of several models as one graph: each has its own preprocessing, and their answers are averaged.

Probabilities are averaged, not logits: a model that is sure and wrong costs less then.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.encoding.encoders import Encoder
from trainyard_trainer.selection.weighting import LEAST, Kind


class MeanEncoder(tf.Module):
    """Prepares rows for each of several models; all take the same columns from a client."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        super().__init__()
        self.encoders = list(encoders)
        self.inputs = tuple(each.inputs for each in encoders)
        self.missing = encoders[0].missing

    def signature(self) -> dict[str, Any]:
        """Return what a client sends."""
        return self.encoders[0].signature()

    def encode(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input of each model, under names that begin with its number."""
        return _numbered([each.encode(features) for each in self.encoders])

    def from_client(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the input of each model for what a client sent."""
        return _numbered([each.from_client(columns) for each in self.encoders])

    def samples(self, raw: RawBatch) -> tuple[Mapping[str, list[Any]], Mapping[str, Any]]:
        """Return rows as a client sends them, and as the data side delivers them."""
        return self.encoders[0].samples(raw)


class MeanModel(tf.Module):
    """Answers what several models say together."""

    def __init__(self, models: Sequence[Any], shares: Sequence[float], kind: Kind) -> None:
        super().__init__()
        self._models, self._shares, self._kind = list(models), list(shares), kind

    @property
    def weights(self) -> list[Any]:
        """The variables of all models."""
        return [each for model in self._models for each in model.weights]

    def __call__(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        """Return the task's outputs, float32 [rows, outputs]."""
        answers = []
        for number, (model, share) in enumerate(zip(self._models, self._shares, strict=True)):
            prefix = f"{number}/"
            own = {name.removeprefix(prefix): each for name, each in inputs.items() if name.startswith(prefix)}
            answers.append(share * self._probabilities(tf.cast(model(own, training=training), tf.float32)))
        mean = tf.add_n(answers)
        if self._kind == "number":
            return mean
        logs = tf.math.log(tf.clip_by_value(mean, LEAST, 1.0))
        return logs if self._kind == "logits" else logs - tf.math.log(tf.clip_by_value(1 - mean, LEAST, 1.0))

    def _probabilities(self, outputs: Any) -> Any:
        if self._kind == "number":
            return outputs
        return tf.nn.softmax(outputs) if self._kind == "logits" else tf.sigmoid(outputs)


def _numbered(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{number}/{name}": each for number, own in enumerate(inputs) for name, each in own.items()}
