"""Numbers that layers keep count of while they train, such as the moving averages of BatchNormalization.

Keras leaves them to each replica: the model that is exported would know one share of the rows only, each worker would
validate another model, and a resumed training would not go on as it was left.
"""

from collections.abc import Sequence

import tensorflow as tf

from trainyard_trainer.tensors import Model, Tensor, Variable


def statistics_of(model: Model) -> list[Variable]:
    """Return the variables that the layers of a model change by themselves; those of frozen layers never change."""
    # Keras has no public way to the layers inside of layers.
    frozen = {id(variable) for layer in model._flatten_layers() if not layer.trainable for variable in layer.variables}
    floats = [variable for variable in model.non_trainable_variables if variable.dtype.startswith(("float", "bfloat"))]
    return [variable for variable in floats if id(variable) not in frozen]


def values(statistics: Sequence[Variable]) -> list[Tensor]:
    """Return what the running replica has counted so far."""
    return [tf.convert_to_tensor(statistic.value) for statistic in statistics]


def combine(statistics: Sequence[Variable], before: Sequence[Tensor], weight: Tensor) -> None:
    """Give each replica the mean of how the numbers of all of them have changed.

    The changes, because the mean of equal numbers may be another number: what never changes has to stay.

    Args:
        statistics: The variables.
        before: Their values when they last were equal.
        weight: Of the running replica; the weights of all add up to 1.
    """
    changes = [weight * (now - old) for now, old in zip(values(statistics), before, strict=True)]
    means = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, changes)
    for statistic, old, change in zip(statistics, before, means, strict=True):
        statistic.assign(old + change)
