"""What of a user's model is saved beside its weights, and whether it can be saved: found out before it is trained."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.trackable.resource import CapturableResource

from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.tensors import Model, Tensor, Tensors, TensorSpec


def resources_of(model: Model) -> list[CapturableResource]:
    """Return the tables that the layers of a model look something up in.

    Keras follows variables only: a saved graph would refer to nothing.
    """
    seen: dict[int, CapturableResource] = {}
    for layer in model._flatten_layers():  # Keras has no public way to the layers inside of layers
        for resource in _resources_in(vars(layer).values()):
            seen[id(resource)] = resource
    return list(seen.values())


def _resources_in(values: Iterable[object]) -> Iterator[CapturableResource]:
    for value in values:
        if isinstance(value, CapturableResource):
            yield value
        elif isinstance(value, Mapping):
            yield from _resources_in(value.values())
        elif isinstance(value, (list, tuple, set)):
            yield from _resources_in(value)


class _Saved(tf.Module):
    def __init__(
        self,
        call: Callable[[Tensors], Tensor],
        model: Any,
        resources: list[CapturableResource],
        specs: Mapping[str, TensorSpec],
    ) -> None:
        super().__init__()
        self.weights = [variable.value for variable in model.variables]
        self.resources = resources
        self.serve = tf.function(lambda inputs: {"outputs": call(inputs)}, input_signature=[specs], autograph=False)


def check_exportable(model: Any, specs: Mapping[str, TensorSpec], where: str) -> None:
    """Save a model once as it will be saved after the training, and forget what was saved.

    Raises:
        BadInput: it cannot be saved.
    """
    if tf.distribute.has_strategy():  # its variables are spread over devices while it is trained
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            module = _Saved(lambda inputs: model(inputs, training=False), model, model.resources, dict(specs))
            # Gradients are not served, and tracing them asks for kernels that only a training needs.
            options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            tf.saved_model.save(module, str(Path(folder, "model")), signatures=module.serve, options=options)
        except (AssertionError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
            raise BadInput(
                f"the model of {where} cannot be exported: {type(error).__name__}: {one_line(error, 400)}; what it "
                "needs beside weights and lookup tables has to be computed from its inputs"
            ) from error
