"""Writes a Keras model of a program's own as a SavedModel with named inputs and outputs, and reads what one answers."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from trainyard_api.names import SIGNATURE
from trainyard_trainer.encoding.input_names import plain_names, restore_names
from trainyard_trainer.errors import ExportFailed
from trainyard_trainer.export.signatures import SignatureDescription, Signatures, TensorDescription
from trainyard_trainer.export.verify import Verifier, plain
from trainyard_trainer.programs.operations import check_saved
from trainyard_trainer.tensors import Array, Arrays, Tensor, Tensors

_ROWS = 4
_ANY_SIZE = 32
"""For dimensions of samples that may have any size: enough for what halves an image a few times."""
_TABLES = (tf.lookup.StaticHashTable, tf.lookup.experimental.MutableHashTable)


class KerasServingModule(tf.Module):
    """A model under the names of its inputs and outputs.

    A plain module, because Keras' own export writes every weight twice.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.weights = [variable.value for variable in model.variables]
        # Keras has no public way to the layers inside of layers.
        layers = list(model._flatten_layers())
        self.tables = [table for layer in layers for table in vars(layer).values() if isinstance(table, _TABLES)]
        specs = _specs(model)
        self.input_names = names = plain_names(specs)

        def serve(inputs: Tensors) -> dict[str, Tensor]:
            return _named(model, model(_as_called(model, [inputs[names[name]] for name in specs]), training=False))

        plain_specs = {
            names[name]: tf.TensorSpec(spec.shape, spec.dtype, name=names[name]) for name, spec in specs.items()
        }
        self.serve = tf.function(serve, input_signature=[plain_specs], autograph=False)


def write_verified(
    model: keras.Model | str | Path, folder: Path, verifier: Verifier, *, any_operation: bool = False
) -> Signatures:
    """Write a model into a folder, and have a fresh process answer some rows with it; returns its signatures.

    Args:
        model: A keras.Model, or the path of a SavedModel.
        folder: An empty folder.
        verifier: The fresh process.
        any_operation: Whether it may have operations that servers refuse.

    Raises:
        BadInput: it uses an operation that no served model may have.
        ExportFailed: it cannot be written, or what was written does not answer alike.
    """
    if isinstance(model, keras.Model):
        save_keras(model, folder)
    else:
        shutil.copytree(model, folder, dirs_exist_ok=True)
    if not any_operation:  # before it runs here
        check_saved(folder, "the model to publish")
    signatures = signatures_of(folder)
    rows = sample_rows(signatures[SIGNATURE]) if SIGNATURE in signatures else {}
    if rows:
        sent = {name: column.tolist() for name, column in rows.items()}
        verifier.check(folder, sent, answers_of(model, rows))
    return signatures


def save_keras(model: keras.Model, folder: Path) -> None:
    """Write the model into a new folder.

    Raises:
        ExportFailed: it cannot be told what the model takes.
    """
    module = KerasServingModule(model)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.serve})
    restore_names(folder, SIGNATURE, module.input_names)


def signatures_of(folder: Path) -> Signatures:
    """Return the signatures of a SavedModel as a manifest has them."""
    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return {
        name: {
            "inputs": {tensor: _describe(signature.inputs[tensor]) for tensor in sorted(signature.inputs)},
            "outputs": {tensor: _describe(signature.outputs[tensor]) for tensor in sorted(signature.outputs)},
        }
        for name, signature in sorted(model.meta_graphs[0].signature_def.items())
        if not name.startswith("__")  # how TensorFlow itself initialises what it has loaded
    }


def sample_rows(signature: SignatureDescription) -> dict[str, Array]:
    """Return some rows that a signature takes, none where it does not take rows, or something else than numbers.

    Whole numbers may be places in a table of unknown size, so they are 0.
    """
    every = [*signature["inputs"].values(), *signature["outputs"].values()]
    if not all(tensor["shape"] and tensor["shape"][0] is None for tensor in every):
        return {}
    random = np.random.default_rng(0)
    rows: dict[str, Array] = {}
    for name, tensor in signature["inputs"].items():
        sizes = (tensor["shape"] or [])[1:]
        shape = (_ROWS, *(_ANY_SIZE if size is None else size for size in sizes))
        dtype = tf.dtypes.as_dtype(tensor["dtype"])
        if not (dtype.is_floating or dtype.is_integer or dtype in (tf.bool, tf.string)):
            return {}
        values = random.normal(size=shape) if dtype.is_floating else np.zeros(shape)
        rows[name] = np.full(shape, "") if dtype == tf.string else values.astype(dtype.as_numpy_dtype)
    return rows


def answers_of(model: keras.Model | str | Path, rows: Arrays) -> dict[str, object]:
    """Return what a Keras model, or the SavedModel in a folder, answers to rows by name."""
    # On the CPU, where the check runs too: a GPU may multiply in lower precision.
    with tf.device("/CPU:0"):
        given = {name: tf.constant(column) for name, column in rows.items()}
        if isinstance(model, keras.Model):
            answers = _named(model, model(_as_called(model, [given[name] for name in _specs(model)]), training=False))
        else:
            answers = tf.saved_model.load(str(model)).signatures[SIGNATURE](**given)
    return {name: plain(answer.numpy().tolist()) for name, answer in answers.items()}


def _specs(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """Return what a model takes by name, in the order in which it takes it."""
    if getattr(model, "inputs", None):
        given = _structure(model)
        own = {id(tensor): name for name, tensor in given.items()} if isinstance(given, Mapping) else {}
        # A stack that was built by a call has the number of that call's rows.
        free = isinstance(model, keras.Sequential)
        return {
            own.get(id(tensor)) or _name(tensor, number, len(model.inputs)): tf.TensorSpec(
                [None if free else tensor.shape[0], *tensor.shape[1:]], tensor.dtype
            )
            for number, tensor in enumerate(model.inputs)
        }
    shapes = (model.get_build_config() or {}).get("input_shape")
    named: Mapping[str, tuple[int | None, ...] | None] = shapes if isinstance(shapes, Mapping) else {"inputs": shapes}
    known = {
        name: shape[1:]
        for name, shape in named.items()
        if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape[1:])
    }
    if len(known) < len(named):
        raise ExportFailed(
            f"cannot tell what model {model.name} takes: build it from keras.Input, call it once with all it takes, "
            "or save it yourself, with tf.saved_model.save, and publish the path"
        )
    return {name: tf.TensorSpec([None, *sizes], model.input_dtype) for name, sizes in known.items()}


def _as_called(model: keras.Model, tensors: Sequence[Tensor]) -> Tensor | Mapping[str, Tensor]:
    """Return tensors in the structure that a model takes."""
    if getattr(model, "inputs", None):
        return keras.tree.pack_sequence_as(_structure(model), tensors)
    names = list(_specs(model))
    return tensors[0] if names == ["inputs"] else dict(zip(names, tensors, strict=True))


def _name(tensor: keras.KerasTensor, number: int, count: int) -> str:
    if not tensor.name.startswith("keras_tensor"):  # a number that depends on what else was built before
        return str(tensor.name)
    return "inputs" if count == 1 else f"inputs_{number}"


def _structure(model: keras.Model) -> keras.KerasTensor | Mapping[str, keras.KerasTensor]:
    """Return the inputs as they were declared; a Sequential has one."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def _named(model: keras.Model, outputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor]) -> dict[str, Tensor]:
    if isinstance(outputs, Mapping):
        return dict(outputs)
    every = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    names = list(getattr(model, "output_names", None) or ())
    if len(set(names)) != len(every):
        names = [f"output_{number}" for number in range(len(every))]
    return dict(zip(names, every, strict=True))


def _describe(tensor: meta_graph_pb2.TensorInfo) -> TensorDescription:
    shape = tf.TensorShape(tensor.tensor_shape)
    return {
        "dtype": tf.dtypes.as_dtype(tensor.dtype).name,
        "shape": None if shape.rank is None else shape.as_list(),
    }
