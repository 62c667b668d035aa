"""Calls a user's function, and makes sure that what it returns can be trained."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainyard_api.code import PythonProgram
from trainyard_api.fit import Fit
from trainyard_trainer.errors import BadInput, did_you_mean, listed, one_line
from trainyard_trainer.programs.compiled import Compiled, read_compiled
from trainyard_trainer.programs.data_spec import DataSpec
from trainyard_trainer.programs.exportable import check_exportable, resources_of
from trainyard_trainer.programs.global_settings import check_numbers, settings_kept
from trainyard_trainer.programs.logits import ENDINGS, final_activation, without_activation
from trainyard_trainer.programs.operations import check_traced
from trainyard_trainer.programs.user_code_errors import place_of, report_user_errors
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.tensors import Array, Arrays, Model, Optimizer, Tensors

_ROWS = 4
_TRAINING_METHODS = (
    "train_step", "test_step", "compute_loss", "compute_metrics", "fit", "evaluate", "train_on_batch", "predict_step",
    "make_train_function", "make_test_function", "stateless_compute_loss",
)  # fmt: skip


class UserModel:
    """A user's model, called like those of our families: with a dictionary of all there is for a row."""

    def __init__(self, model: keras.Model, data: DataSpec, compiled: Compiled | None = None) -> None:
        self._model, self.compiled_with = model, compiled or Compiled()
        expected = model.inputs if getattr(model, "inputs", None) else None
        # A Sequential takes the one input by itself, every other model the dictionary.
        alone = isinstance(model, keras.Sequential) and len(data.inputs) == 1
        named = isinstance(getattr(model, "input", None), Mapping) if expected else not alone
        self.resources = resources_of(model)
        self._names = list(model.input) if named and expected else list(data.inputs)
        self._named = named

    def __call__(self, rows: Tensors | Arrays, training: bool = False) -> Any:
        """Return the outputs, float32 [rows, outputs]."""
        taken = {name: rows[name] for name in self._names}
        return self._model(taken if self._named else next(iter(taken.values())), training=training)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def compiled_optimizer(model: Model) -> Optimizer | None:
    """Return the optimizer that a user's model was compiled with, with its variables made, or nothing."""
    optimizer = model.compiled_with.optimizer if isinstance(model, UserModel) else None
    if optimizer is not None:
        optimizer.build(model.trainable_variables)
    return optimizer


def fit_as_compiled(model: Model, fit: Fit, event_log: EventLog) -> Fit:
    """Return how to train a model, by the spec and what a user's model was compiled with.

    Raises:
        BadInput: the two contradict each other.
    """
    return model.compiled_with.applied(fit, event_log) if isinstance(model, UserModel) else fit


def entry_point(program: PythonProgram) -> Callable[..., object]:
    """Import the function.

    Raises:
        BadInput: it cannot be imported, or does not take the hyperparameters.
    """
    module_name, _, name = program.entry_point.partition(":")
    where = f"program.python.entryPoint {program.entry_point}"
    with settings_kept(), report_user_errors(f"{where} cannot be imported"):
        module = importlib.import_module(module_name)
    function = getattr(module, name, None)
    if not callable(function):
        known = [
            function_name
            for function_name, value in vars(module).items()
            if callable(value) and not function_name.startswith("_")
        ]
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
    with settings_kept(), report_user_errors(f"{where} failed"):
        model = function(data, **program.hyperparameters)
    if not isinstance(model, keras.Model):
        raise BadInput(f"{where} returned {_article(model)}; expected a keras.Model")
    _refuse_own_training(model, where)
    check_numbers(model, where)
    rows, plain = _sample_rows(data), UserModel(model, data)
    with report_user_errors(f"the model of {where} cannot be called with {', '.join(data.inputs)}"):
        outputs = plain(rows)
    _check_outputs(outputs, data, where)
    check_numbers(model, where)
    compiled = read_compiled(model, data.task, where)
    turned = _before_activation(model, compiled, data=data, where=where)
    if not turned.trainable_variables:
        raise BadInput(f"the model of {where} has no weights to train")
    built = UserModel(turned, data, compiled if turned is model else compiled.with_fresh_optimizer())
    _check_graphs(built, data, where)
    return built


def _refuse_own_training(model: keras.Model, where: str) -> None:
    """Refuse what would be ignored: the trainer has steps of its own."""
    for name in _TRAINING_METHODS:
        owner = next((kind for kind in type(model).__mro__ if name in vars(kind)), keras.Model)
        if name in vars(model) or owner.__module__.partition(".")[0] != "keras":
            raise BadInput(
                f"{where} returned a {type(model).__name__} with a {name} of its own: the trainer has its own steps, "
                "loss and metrics, and would ignore it; leave it out, or bring the whole program as program.container"
            )


def _sample_rows(data: DataSpec) -> dict[str, Array]:
    random = np.random.default_rng(0)
    return {
        name: random.normal(size=(_ROWS, *tensor.shape)).astype(tensor.dtype)
        if tensor.dtype.startswith("float")
        else random.integers(tensor.slots or 256, size=(_ROWS, *tensor.shape)).astype(tensor.dtype)
        for name, tensor in data.inputs.items()
    }


def _check_outputs(outputs: object, data: DataSpec, where: str) -> None:
    shape = tuple(getattr(outputs, "shape", ()))
    if shape != (_ROWS, data.outputs):
        raise BadInput(
            f"the model of {where} has outputs of shape {('rows', *shape[1:]) if shape else type(outputs).__name__}; "
            f"expected ('rows', {data.outputs}) for task {data.task}"
        )


def _before_activation(model: keras.Model, compiled: Compiled, *, data: DataSpec, where: str) -> keras.Model:
    """Return the model that puts out what the loss is taken of."""
    end, expected = final_activation(model), ENDINGS.get(data.task)
    if not end.activation:
        if compiled.from_logits is False:
            raise BadInput(
                f"{where} returned a model compiled with loss {compiled.loss} of probabilities, but {end} has no "
                f"activation {expected}: give it that, or the loss from_logits=True"
            )
        return model
    if end.activation != expected:
        raise BadInput(
            f"{end} of {where} has activation {end.activation}, which does not fit task {data.task}: "
            f"expected {expected or 'none'}"
        )
    if compiled.from_logits:
        raise BadInput(
            f"{where} returned a model compiled with loss {compiled.loss} of outputs before {expected} "
            f"(from_logits=True), but {end} has activation {expected}: leave one of them out"
        )
    rows = _sample_rows(data)
    try:
        return without_activation(model, end.activation, lambda other: UserModel(other, data)(rows))
    except BadInput as error:
        raise BadInput(f"the model of {where}: {error}") from error


def _check_graphs(model: UserModel, data: DataSpec, where: str) -> None:
    """Trace the model for training, in which it may do something else, and for serving."""
    rows = {name: tf.TensorSpec([None, *tensor.shape], tensor.dtype, name) for name, tensor in data.inputs.items()}
    for training, purpose in ((True, "trained"), (False, "written as a graph")):
        call = partial(model, training=training)
        with report_user_errors(f"the model of {where} cannot be {purpose}"):
            traced = tf.function(call, autograph=False).get_concrete_function(rows)
    check_traced(traced, f"the model of {where}")
    check_exportable(model, rows, where)


def _article(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
