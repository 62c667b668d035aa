"""Calls a user's function, and makes sure that what it returns can be trained."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainyard_operator.api.code import PythonProgram
from trainyard_trainer.errors import BadInput, did_you_mean, listed, one_line
from trainyard_trainer.export.operations import check_traced
from trainyard_trainer.programs.blame import blaming, place_of
from trainyard_trainer.programs.data_spec import DataSpec

_FINAL = ("sigmoid", "softmax", "log_softmax")
_ROWS = 2


class UserModel:
    """A user's model, called like those of our families: with a dictionary of all there is for a row."""

    def __init__(self, model: Any, data: DataSpec) -> None:
        self._model = model
        expected = model.inputs if getattr(model, "inputs", None) else None
        named = isinstance(getattr(model, "input", None), Mapping) if expected else len(data.inputs) > 1
        self._names = list(model.input) if named and expected else list(data.inputs)
        self._named = named

    def __call__(self, rows: Mapping[str, Any], training: bool = False) -> Any:
        """Return the outputs, float32 [rows, outputs]."""
        taken = {name: rows[name] for name in self._names}
        return self._model(taken if self._named else next(iter(taken.values())), training=training)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def compiled_optimizer(model: Any) -> Any:
    """Return the optimizer that a user's model was compiled with, with its variables made, or nothing."""
    optimizer = getattr(model, "optimizer", None) if isinstance(model, UserModel) else None
    if optimizer is not None:
        optimizer.build(model.trainable_variables)
    return optimizer


def entry_point(program: PythonProgram) -> Callable[..., Any]:
    """Import the function.

    Raises:
        BadInput: it cannot be imported, or does not take the hyperparameters.
    """
    module_name, _, name = program.entry_point.partition(":")
    where = f"program.python.entryPoint {program.entry_point}"
    with blaming(f"{where} cannot be imported"):
        module = importlib.import_module(module_name)
    function = getattr(module, name, None)
    if not callable(function):
        known = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise BadInput(f"{where}: module {module_name} has no function {name!r}{did_you_mean(name, known)}")
    try:
        inspect.signature(function).bind(None, **program.hyperparameters)
    except TypeError as error:
        line = function.__code__.co_firstlineno if hasattr(function, "__code__") else 0
        raise BadInput(
            f"{where} at {place_of(getattr(module, '__file__', None), line)} cannot be called: {one_line(error)}; it "
            f"is given the data spec and program.python.hyperparameters ({listed(program.hyperparameters) or 'none'}), "
            f"and takes {inspect.signature(function)}"
        ) from error
    return function


def build_python(program: PythonProgram, data: DataSpec) -> UserModel:
    """Return the model that the function builds.

    Raises:
        BadInput: the function fails, or returns something else than a model for this data.
        OSError: it failed for want of a file or the network.
    """
    function = entry_point(program)
    where = f"program.python.entryPoint {program.entry_point}"
    with blaming(f"{where} failed"):
        model = function(data, **program.hyperparameters)
    if not isinstance(model, keras.Model):
        raise BadInput(f"{where} returned {_article(model)}; expected a keras.Model")
    if model.compiled and model.loss is not None:
        raise BadInput(
            f"{where} returned a model compiled with a loss: leave loss and metrics out of compile(), "
            "and name them in fit.loss and fit.metrics, or leave them to the task"
        )
    wrapped = UserModel(model, data)
    _check_outputs(wrapped, data, where)
    _check_operations(wrapped, data, where)
    return wrapped


def _check_outputs(model: UserModel, data: DataSpec, where: str) -> None:
    rows = {name: np.zeros((_ROWS, *each.shape), each.dtype) for name, each in data.inputs.items()}
    with blaming(f"the model of {where} cannot be called with {', '.join(data.inputs)}"):
        outputs = model(rows)
    shape = tuple(getattr(outputs, "shape", ()))
    if shape != (_ROWS, data.outputs):
        raise BadInput(
            f"the model of {where} has outputs of shape {('rows', *shape[1:]) if shape else type(outputs).__name__}; "
            f"expected ('rows', {data.outputs}) for task {data.task}"
        )
    final = getattr(getattr(model.layers[-1], "activation", None), "__name__", None) if model.layers else None
    if final in _FINAL:
        raise BadInput(
            f"the last layer {model.layers[-1].name!r} of {where} has activation {final}: leave it out, because the "
            "loss is taken of the outputs before it and the served model applies it"
        )
    if not model.trainable_variables:
        raise BadInput(f"the model of {where} has no weights to train")


def _check_operations(model: UserModel, data: DataSpec, where: str) -> None:
    rows = {name: tf.TensorSpec([None, *each.shape], each.dtype, name) for name, each in data.inputs.items()}
    with blaming(f"the model of {where} cannot be written as a graph"):
        traced = tf.function(lambda each: model(each, training=False), autograph=False).get_concrete_function(rows)
    check_traced(traced, f"the model of {where}")


def _article(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
