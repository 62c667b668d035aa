"""How much the rows of each class count in training."""

from collections.abc import Mapping, Sequence

import numpy as np

from trainyard_api.fit import ClassWeights
from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.labels import ClassLabels, Labels
from trainyard_trainer.errors import BadInput, did_you_mean, listed
from trainyard_trainer.tensors import Floats

_BOOLEANS = {"true", "false"}
_TRUTHS = dict.fromkeys(("yes", "on", "y", "true"), "true") | dict.fromkeys(("no", "off", "n", "false"), "false")


def class_weights(wanted: ClassWeights | None, labels: Labels) -> Floats | None:
    """Return the weight of each class (float32), or nothing where all count alike.

    Raises:
        BadInput: there are no classes, or not the named ones.
    """
    if wanted is None:
        return None
    if isinstance(labels, LabelSets):
        raise BadInput("fit.classWeights is for tasks where each row has one class: take it out")
    if not isinstance(labels, ClassLabels):
        raise BadInput("fit.classWeights is for classification: in task regression there are no classes")
    if wanted.balanced:
        return (sum(labels.counts) / (len(labels.counts) * np.asarray(labels.counts))).astype(np.float32)
    weights = _as_classes(wanted.weights or {}, labels.names)
    for name in weights:
        if name not in labels.names:
            quotes = ' (YAML takes yes and no for true and false: write "yes" in quotes)' if name in _BOOLEANS else ""
            raise BadInput(
                f"fit.classWeights.weights names {name!r}, which is not a class{did_you_mean(name, labels.names)} "
                f"(the classes are {listed(labels.names)}){quotes}"
            )
    return np.array([weights.get(name, 1.0) for name in labels.names], np.float32)


def _as_classes(weights: Mapping[str, float], names: Sequence[str]) -> Mapping[str, float]:
    """Return weights by class, where the classes are exactly what YAML reads as true and false."""
    by_truth = {_TRUTHS.get(name.lower(), ""): name for name in names}
    if set(by_truth) != _BOOLEANS or len(names) != 2 or not weights.keys() <= _BOOLEANS | set(names):
        return weights
    return {by_truth[name] if name not in names else name: weight for name, weight in weights.items()}
