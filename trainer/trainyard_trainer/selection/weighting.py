"""Which share each of several models has in their mean: a greedy search on the validation rows. Pure.

Few rows cannot tell which model is best. They only leave out those that are worse beyond chance.

After Caruana et al., "Ensemble selection from libraries of models" (2004): again and again the model joins that makes
the mean best, also one that is in it already. So weights are whole shares, and few of them are not 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from trainyard_trainer.tensors import Array

Kind = Literal["number", "logOdds", "logits"]
"""What outputs are: numbers, the log-odds of one or more labels, or the logits of classes that exclude each other."""
LEAST = 1e-6
"""The smallest probability of a mean: single precision knows no number as close to 1 as some are to 0."""
MIN_ROWS = 200
"""With fewer validation rows the weights would follow chance: all models that may be the best have the same."""
MIN_GAIN = 0.005
"""Share of the loss that a mean must save to be worth serving several models."""
_ROUNDS = 20


def kind_of(task: str) -> Kind:
    """Return what the outputs of a task are."""
    kinds: Mapping[str, Kind] = {"regression": "number", "multiclassClassification": "logits"}
    return kinds.get(task, "logOdds")


def mean_weights(kind: Kind, outputs: Sequence[Any], labels: Any, counts: Array | None = None) -> tuple[float, ...]:
    """Return the weight of each model.

    From `MIN_ROWS` on, it is 1 and zeros where a mean is not clearly better than the best alone.

    Args:
        kind: What the outputs are.
        outputs: Of each model on the validation rows, float32 [rows, outputs].
        labels: Of these rows, as the task has them; numbers in deviations from the mean.
        counts: How much each of these rows counts; all alike where absent.
    """
    said = [_probabilities(kind, np.asarray(each, np.float64)) for each in outputs]
    losses_of = _losses(kind, labels)
    if len(labels) < MIN_ROWS:
        return _alike([losses_of(each) for each in said], counts)

    def loss(outputs: Any) -> float:
        return float(np.average(losses_of(outputs), weights=counts))

    alone = [loss(each) for each in said]
    best = int(np.argmin(alone))
    shares = np.zeros(len(said), int)
    shares[best] = 1
    found, least = shares, alone[best]
    total = said[best]
    for size in range(2, _ROUNDS + 1):
        losses = [loss((total + each) / size) for each in said]
        joins = int(np.argmin(losses))
        total = total + said[joins]
        shares = shares + (np.arange(len(said)) == joins)
        if losses[joins] < least:
            found, least = shares, losses[joins]
    if least > (1 - MIN_GAIN) * alone[best]:
        found = (np.arange(len(said)) == best).astype(int)
    return tuple(float(each) for each in found / found.sum())


def _alike(losses: Sequence[Any], counts: Array | None) -> tuple[float, ...]:
    """Return equal weights for the best model and those within a standard error of it, by the losses of each row."""

    def mean(values: Any) -> float:
        return float(np.average(values, weights=counts))

    best = min(losses, key=mean)
    behind = [each - best for each in losses]
    errors = [np.sqrt(mean((each - mean(each)) ** 2) / len(each)) for each in behind]
    stays = np.array([mean(each) <= error for each, error in zip(behind, errors, strict=True)], float)
    return tuple(float(each) for each in stays / stays.sum())


def _probabilities(kind: Kind, outputs: Any) -> Any:
    if kind == "number":
        return outputs
    if kind == "logOdds":
        return 1 / (1 + np.exp(-outputs.clip(-700, 700)))
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _losses(kind: Kind, labels: Any) -> Callable[[Any], Any]:
    """Return what gives the loss of each row."""
    if kind == "number":
        return lambda said: (said[:, 0] - labels) ** 2
    if kind == "logits":
        rows = np.arange(len(labels))
        return lambda said: -np.log(said[rows, labels].clip(LEAST, 1))
    there = labels.reshape(len(labels), -1) > 0
    return lambda said: -np.log(np.where(there, said, 1 - said).clip(LEAST, 1)).mean(axis=1)
