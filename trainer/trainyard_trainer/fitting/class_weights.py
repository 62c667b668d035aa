"""How much the rows of each class count in training."""

from typing import Any

import numpy as np

from trainyard_api.fit import ClassWeights
from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.labels import ClassLabels, Labels
from trainyard_trainer.errors import BadInput, did_you_mean, listed


def class_weights(wanted: ClassWeights | None, labels: Labels) -> Any:
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
    for name in wanted.weights or {}:
        if name not in labels.names:
            raise BadInput(
                f"fit.classWeights.weights names {name!r}, which is not a class{did_you_mean(name, labels.names)} "
                f"(the classes are {listed(labels.names)})"
            )
    return np.array([(wanted.weights or {}).get(name, 1.0) for name in labels.names], np.float32)
