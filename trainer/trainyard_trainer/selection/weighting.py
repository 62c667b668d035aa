"""Which share each of several models has in their mean: a greedy search on the validation rows. Pure.

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
MIN_ROWS = 50
"""With fewer validation rows the weights would follow chance."""
MIN_GAIN = 0.005
"""Share of the loss that a mean must save to be worth serving several models."""
_ROUNDS = 20


def kind_of(task: str) -> Kind:
    """Return what the outputs of a task are."""
    kinds: Mapping[str, Kind] = {"regression": "number", "multiclassClassification": "logits"}
    return kinds.get(task, "logOdds")


def mean_weights(kind: Kind, outputs: Sequence[Any], labels: Any, counts: Array | None = None) -> tuple[float, ...]:
    """Return the weight of each model; 1 and zeros where a mean is not clearly better than the best alone.

    Args:
        kind: What the outputs are.
        outputs: Of each model on the validation rows, float32 [rows, outputs].
        labels: Of these rows, as the task has them; numbers in deviations from the mean.
        counts: How much each of these rows counts; all alike where absent.
    """
    said = [_probabilities(kind, np.asarray(each, np.float64)) for each in outputs]
    loss = _loss(kind, labels, counts)
    alone = [loss(each) for each in said]
    best = int(np.argmin(alone))
    counts = np.zeros(len(said), int)
    counts[best] = 1
    found, least = counts, alone[best]
    total = said[best]
    for size in range(2, _ROUNDS + 1):
        losses = [loss((total + each) / size) for each in said]
        joins = int(np.argmin(losses))
        total = total + said[joins]
        counts = counts + (np.arange(len(said)) == joins)
        if losses[joins] < least:
            found, least = counts, losses[joins]
    if len(labels) < MIN_ROWS or least > (1 - MIN_GAIN) * alone[best]:
        found = (np.arange(len(said)) == best).astype(int)
    return tuple(float(each) for each in found / found.sum())


def _probabilities(kind: Kind, outputs: Any) -> Any:
    if kind == "number":
        return outputs
    if kind == "logOdds":
        return 1 / (1 + np.exp(-outputs.clip(-700, 700)))
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _loss(kind: Kind, labels: Any, counts: Array | None) -> Callable[[Any], float]:
    if kind == "number":
        return lambda said: float(np.average((said[:, 0] - labels) ** 2, weights=counts))
    if kind == "logits":
        rows = np.arange(len(labels))
        return lambda said: float(-np.average(np.log(said[rows, labels].clip(LEAST, 1)), weights=counts))
    there = labels.reshape(len(labels), -1) > 0

    def cross_entropy(said: Any) -> float:
        logs = np.log(np.where(there, said, 1 - said).clip(LEAST, 1)).mean(axis=1)
        return float(-np.average(logs, weights=counts))

    return cross_entropy
