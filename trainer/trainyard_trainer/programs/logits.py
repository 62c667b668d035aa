"""Takes a final sigmoid or softmax off a user's model.

A loss is exact only on what comes before it: behind it a sure but wrong answer is rounded to 0 or 1, and its gradient
to 0. The task applies it to what is served.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from trainyard_api.tasks import Task
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.tensors import Array

ENDINGS: Mapping[Task, str] = {
    "binaryClassification": "sigmoid",
    "multiclassClassification": "softmax",
    "multilabelClassification": "sigmoid",
}
"""What turns a model's outputs into the probabilities of a task; numbers are outputs as they are."""
_KNOWN = ("sigmoid", "softmax", "log_softmax", "logsoftmax")
_RELATIVE, _ABSOLUTE = 1e-3, 1e-5


@dataclass(frozen=True, slots=True)
class FinalActivation:
    """The last thing that a model does. `activation` is empty where it is no final activation that is known."""

    layer: str
    activation: str

    def __str__(self) -> str:
        return f"the last layer {self.layer!r}"


def final_activation(model: keras.Model) -> FinalActivation:
    """Return how a model ends, also where its last layer is a model itself."""
    last = _operations(model)[-1] if _operations(model) else model
    if isinstance(last, keras.Model) and last is not model:
        return final_activation(last)
    activation = getattr(last, "activation", None)
    name = getattr(activation, "__name__", "") if activation else type(last).__name__.lower()
    return FinalActivation(last.name, name if name in _KNOWN else "")


def is_graph(model: keras.Model) -> bool:
    """Return whether it is known what a model is made of; the code of a subclass could do anything."""
    return isinstance(model, keras.Sequential) or hasattr(model, "operations")


def without_activation(model: keras.Model, activation: str, ask: Callable[[keras.Model], Array]) -> keras.Model:
    """Return a model with the same weights that puts out what comes before the final activation.

    Layers are shared, but for the one that has the activation. `ask` has a model answer some rows: both have to answer
    alike.

    Raises:
        BadInput: the model cannot be turned into such a one.
    """
    end = final_activation(model)
    advice = f"leave {activation} out of {end}: the loss is taken of the outputs before it"
    if not is_graph(model):
        raise BadInput(f"a subclass of keras.Model cannot be changed from outside: {advice}")
    try:
        turned = _turned(model)
        answers = getattr(keras.ops, activation)(ask(turned))
    except (TypeError, ValueError, NotImplementedError) as error:
        raise BadInput(f"{end} cannot be built anew ({one_line(error, 300)}): {advice}") from error
    if not np.allclose(answers, ask(model), rtol=_RELATIVE, atol=_ABSOLUTE):
        raise BadInput(f"{end} does more with {activation} than to end with it: {advice}")
    return turned


def _operations(model: keras.Model) -> list[keras.Operation]:
    """Return layers and functions in the order of their use."""
    return list(getattr(model, "operations", None) or model.layers)


def _turned(model: keras.Model) -> keras.Model:
    if not is_graph(model):
        raise TypeError(f"{model.name} is a subclass of keras.Model")
    last = _operations(model)[-1]
    new = _turned(last) if isinstance(last, keras.Model) else _linear(last)
    if isinstance(model, keras.Sequential):
        inputs = [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name) for tensor in model.inputs or ()]
        return keras.Sequential([*inputs, *model.layers[:-1], new], name=model.name, trainable=model.trainable)
    if not isinstance(last, keras.Model) and _is_bare(last):  # what it was called with is not what another layer takes
        return keras.Model(model.input, new(last.input), name=model.name)
    plain = keras.Model(model.input, model.output, name=model.name)  # a clone would be compiled like its model
    return keras.models.clone_model(plain, clone_function=lambda layer: new if layer is last else layer)


def _is_bare(operation: keras.Operation) -> bool:
    """Return whether it is the activation itself, as keras.ops.sigmoid or the layer Softmax."""
    return not getattr(operation, "activation", None)


def _linear(operation: keras.Operation) -> keras.Layer:
    """Return the same layer, with the same weights, without its activation."""
    if _is_bare(operation):
        return keras.layers.Activation("linear", dtype=getattr(operation, "dtype_policy", None))
    new = type(operation).from_config(operation.get_config() | {"activation": "linear"})
    new.build_from_config(operation.get_build_config() or {})
    new.set_weights(operation.get_weights())
    return new
