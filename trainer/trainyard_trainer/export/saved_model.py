"""Writes a trained model as a SavedModel that stock TensorFlow and TensorFlow Serving run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from trainyard_api.names import EXAMPLES_INPUT, EXAMPLES_SIGNATURE, SIGNATURE, TEXT_SIGNATURE
from trainyard_trainer.data.dataset import DataSet
from trainyard_trainer.encoding.encoders import Encoder
from trainyard_trainer.encoding.input_names import plain_names, restore_names
from trainyard_trainer.export import text_inputs, tf_examples
from trainyard_trainer.export.signatures import Signatures, TensorDescription
from trainyard_trainer.export.verify import plain
from trainyard_trainer.fitting.fit import Trained
from trainyard_trainer.tasks.task import Task
from trainyard_trainer.tensors import Model, Tensor, Tensors, TensorSpec

SAMPLE_ROWS = 32


class ServingModel(tf.Module):
    """The model with its preprocessing in front and its task's answers behind.

    A plain module, because Keras' own export writes every weight twice.
    """

    def __init__(self, model: Model, encoder: Encoder, task: Task) -> None:
        super().__init__()
        self.encoder = encoder
        self.weights = [weight.value for weight in model.weights]
        self.resources = list(getattr(model, "resources", ()))  # lookup tables of a user's layers
        names = plain_names(encoder.signature())
        self.input_names = names

        def serve(inputs: Tensors) -> Tensors:
            columns = {column: inputs[name] for column, name in names.items()}
            return task.serve(model(encoder.from_client(columns), training=False))

        specs = {
            names[column]: tf.TensorSpec(spec.shape, spec.dtype, name=names[column])
            for column, spec in encoder.signature().items()
        }
        self.serve = tf.function(serve, input_signature=[specs], autograph=False)

        def serve_examples(examples: Tensor) -> Tensors:
            columns = tf_examples.parse(examples, encoder.signature())
            return self.serve({names[column]: values for column, values in columns.items()})

        examples = tf.TensorSpec([None], tf.string, name=EXAMPLES_INPUT)
        self.serve_examples = tf.function(serve_examples, input_signature=[examples], autograph=False)
        self.takes_texts = bool(encoder.missing) and text_inputs.takes_numbers(encoder.signature())
        if self.takes_texts:  # what has an input signature is saved, whether it is one of the model's or not
            self.serve_text = self._text_function(names)

    def _text_function(self, names: Mapping[str, str]) -> Any:
        specs = self.encoder.signature()

        def serve_text(inputs: Tensors) -> Tensors:
            columns = {column: inputs[name] for column, name in names.items()}
            parsed = text_inputs.parse(columns, specs, self.encoder.missing)
            return self.serve({names[column]: values for column, values in parsed.items()})

        texts = {
            names[column]: tf.TensorSpec(spec.shape, spec.dtype, name=names[column])
            for column, spec in text_inputs.text_specs(specs).items()
        }
        return tf.function(serve_text, input_signature=[texts], autograph=False)


def save(module: ServingModel, folder: Path) -> Signatures:
    """Write the SavedModel into a new folder; returns its signatures for the manifest."""
    signatures = {SIGNATURE: module.serve, EXAMPLES_SIGNATURE: module.serve_examples}
    if module.takes_texts:
        signatures[TEXT_SIGNATURE] = module.serve_text
    tf.saved_model.save(module, str(folder), signatures=signatures)
    for name in signatures.keys() - {EXAMPLES_SIGNATURE}:
        restore_names(folder, name, module.input_names)
    function = module.serve.get_concrete_function()
    outputs = {name: _describe(spec) for name, spec in sorted(function.structured_outputs.items())}
    inputs = {
        SIGNATURE: {name: _describe(spec) for name, spec in module.encoder.signature().items()},
        EXAMPLES_SIGNATURE: {EXAMPLES_INPUT: _describe(tf.TensorSpec([None], tf.string))},
    }
    if module.takes_texts:
        specs = text_inputs.text_specs(module.encoder.signature())
        inputs[TEXT_SIGNATURE] = {name: _describe(spec) for name, spec in specs.items()}
    return {name: {"inputs": taken, "outputs": outputs} for name, taken in inputs.items()}


def _describe(spec: TensorSpec) -> TensorDescription:
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}


def samples(data_set: DataSet, trained: Trained) -> tuple[Mapping[str, list[Any]], dict[str, object]]:
    """Return some rows as a client would send them, and what the model says to them on the way training takes."""
    first = next(rows for shard in data_set.shards() for rows in data_set.read(shard, batch_rows=SAMPLE_ROWS))
    inputs, features = trained.encoder.samples(first)
    # On the CPU, where the check runs too: a GPU may multiply in lower precision.
    with tf.device("/CPU:0"):
        answers = trained.task.serve(trained.model(trained.encoder.encode(features), training=False))
    return inputs, {name: plain(answer.numpy().tolist()) for name, answer in answers.items()}
