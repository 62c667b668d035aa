"""Judges the exported weights: beside the constant answer, class by class, and column by column."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from trainyard_trainer.data.batch import EncodedBatch
from trainyard_trainer.data.labels import ClassLabels, NumberLabels
from trainyard_trainer.data.pipeline import blocks_to_test, validation_blocks
from trainyard_trainer.data.profile import rows_in
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.tabular import CATEGORIES, NUMBERS
from trainyard_trainer.fitting.fit import Trained
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.fitting.steps import LABELS, WEIGHTS, as_block, sums_of
from trainyard_trainer.tasks.evaluation import better_by, compared, constant_answer, of_classes, of_numbers
from trainyard_trainer.tasks.task import Task
from trainyard_trainer.tensors import Array, Tensor

MOST_BLOCKS = 16
"""Of validation rows that are looked at once more: 65,536 rows of a usual table, fewer of images."""
_BLOCK_ROWS, _BLOCK_BYTES = 4096, 16 << 20
_PERMUTED_ROWS, _MOST_PREDICTIONS, _MOST_REPEATS, _MOST_FEATURES = 1000, 200_000, 5, 200


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the manifest says of how good a model is, and the same in a sentence."""

    facts: Mapping[str, Any]
    verdict: str = ""

    @property
    def useless(self) -> bool:
        """Whether always giving the same answer would be as good."""
        return bool(self.facts) and not (self.facts["constant"]["betterBy"] or 0) > 0


def evaluate(prepared: Prepared, trained: Trained) -> Evaluation:
    """Return how good the weights are that will be exported, on the validation rows.

    Where there are none, the loss of the training rows is compared, as far as what is known of them allows.
    """
    blocks = list(_first_rows(prepared))
    if not blocks:
        return _of_training(prepared, trained)
    outputs = np.concatenate([outputs_of(trained, each) for each in blocks])
    labels = np.concatenate([each.labels for each in blocks])
    counts = [each.weights for each in blocks if each.weights is not None]
    weights = np.concatenate(counts) if counts else None
    hinge = prepared.run.program.family == "svm"
    constant, answer = constant_answer(prepared.profile.labels, rows=_training_weight(prepared), hinge=hinge)
    model = _metrics(trained, labels, outputs, weights)
    always = _metrics(trained, labels, np.broadcast_to(constant, outputs.shape), weights)
    facts: dict[str, Any] = {
        "rows": len(labels),
        "constant": {"answer": answer, "metrics": always, "betterBy": better_by(model["val_loss"], always["val_loss"])},
    }
    if prepared.privacy is None:
        facts |= _details(prepared, trained.task, labels, outputs, weights)
        facts |= _importances(prepared, trained, blocks[0])
    verdict = compared("val_loss", model["val_loss"], constant=always["val_loss"], answer=answer)
    return Evaluation(facts, verdict)


def _of_training(prepared: Prepared, trained: Trained) -> Evaluation:
    labels, loss = prepared.profile.labels, prepared.run.job.spec.fit.loss
    hinge = prepared.run.program.family == "svm"
    constant, answer = constant_answer(labels, rows=_training_weight(prepared), hinge=hinge)
    if isinstance(labels, ClassLabels) and prepared.class_weights is None:
        each = tf.range(len(labels.counts))
        losses = trained.task.loss(each, tf.constant(np.broadcast_to(constant, (len(labels.counts), len(constant)))))
        always = float(np.average(losses, weights=labels.shares))
    elif isinstance(labels, NumberLabels) and loss in (None, "mean_squared_error"):
        always = labels.learnt[1] ** 2
    else:
        return Evaluation({})
    own = trained.end.metrics["loss"]
    facts = {"answer": answer, "metrics": {"loss": always}, "betterBy": better_by(own, always)}
    return Evaluation({"rows": 0, "constant": facts}, compared("loss", own, constant=always, answer=answer))


def _training_weight(prepared: Prepared) -> float:
    return prepared.profile.training_rows * prepared.profile.mean_weight


def measure_test(prepared: Prepared, trained: Trained) -> dict[str, float]:
    """Return the metrics of the rows that had no say in the training; none where there are no such rows."""
    facts = prepared.profile
    if not facts.test_rows:
        return {}
    size = rows_in(_BLOCK_BYTES, facts.row_bytes, most=_BLOCK_ROWS)
    found = measured(trained, blocks_to_test(prepared.table, facts, block_rows=size), trained.task.validation_sums)
    return {f"test_{name}": value for name, value in found.items()}


def measured(
    trained: Trained,
    pieces: Iterable[EncodedBatch],
    sums: Callable[[Tensor, Tensor, Tensor | None], dict[str, Tensor]],
) -> dict[str, float]:
    """Return the metrics of rows, of which a task adds up `sums`."""
    totals: dict[str, Any] = {}
    for piece in pieces:
        labels, outputs = tf.constant(piece.labels), tf.constant(outputs_of(trained, piece))
        weights = None if piece.weights is None else tf.constant(piece.weights)
        own = sums_of(trained.task.loss(labels, outputs), sums(labels, outputs, weights), weights)
        for name, value in own.items():
            totals[name] = totals.get(name, 0.0) + np.asarray(value, np.float64)
    return trained.task.metrics(totals)


def _first_rows(prepared: Prepared) -> Iterator[EncodedBatch]:
    facts = prepared.profile
    if not facts.validation_rows:
        return
    size = rows_in(_BLOCK_BYTES, facts.row_bytes, most=_BLOCK_ROWS)
    left = MOST_BLOCKS * size
    for block in validation_blocks(prepared.table, facts, block_rows=size):
        for begin in range(0, len(block), size):
            if left <= 0:
                return
            yield block.take(slice(begin, begin + size))
            left -= size


def outputs_of(trained: Trained, rows: EncodedBatch) -> Any:
    """Return what a model puts out, float32 [rows, outputs]."""
    block = as_block(rows, trained.encoder.encode)
    del block[LABELS]
    block.pop(WEIGHTS, None)
    return tf.cast(trained.model(block, training=False), tf.float32).numpy()


def _metrics(trained: Trained, labels: Any, outputs: Any, weights: Array | None) -> dict[str, float]:
    right, said, own = tf.constant(labels), tf.constant(outputs), None if weights is None else tf.constant(weights)
    totals = sums_of(trained.task.loss(right, said), trained.task.validation_sums(right, said, own), own)
    found = trained.task.metrics({name: np.asarray(each, np.float64) for name, each in totals.items()})
    return {f"val_{name}": value for name, value in found.items()}


def _details(prepared: Prepared, task: Task, labels: Any, outputs: Any, weights: Array | None) -> dict[str, Any]:
    kind, hinge = prepared.profile.labels, prepared.run.program.family == "svm"
    if isinstance(kind, NumberLabels):
        return of_numbers(labels, task.serve(tf.constant(outputs))["value"].numpy().astype(np.float64), weights)
    if not isinstance(kind, ClassLabels):
        return {}
    if hinge:
        scores = np.concatenate([-outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs
    elif outputs.shape[1] == 1:
        second = tf.sigmoid(outputs[:, 0]).numpy()
        scores = np.stack([1 - second, second], axis=1)
    else:
        scores = tf.nn.softmax(outputs).numpy()
    return of_classes(labels, scores, kind.names, probabilities=not hinge, weights=weights)


def _importances(prepared: Prepared, trained: Trained, rows: EncodedBatch) -> dict[str, Any]:
    """Return, for each column of a table, by how much the loss grows where its values are those of other rows."""
    columns = list(_columns(prepared.profile.schema))
    rows = rows.take(slice(_PERMUTED_ROWS))
    if NUMBERS not in rows.features or not 1 < len(columns) <= _MOST_FEATURES or len(rows) < 2:
        return {}
    repeats = max(1, min(_MOST_REPEATS, _MOST_PREDICTIONS // (len(rows) * len(columns))))
    weights = rows.weights if rows.weights is not None and rows.weights.any() else None
    random = np.random.default_rng(prepared.run.job.spec.fit.seed)

    def loss(features: Mapping[str, Any]) -> float:
        outputs = outputs_of(trained, EncodedBatch(features, rows.labels))
        losses = trained.task.loss(tf.constant(rows.labels), tf.constant(outputs)).numpy()
        return float(np.average(losses.astype(np.float64), weights=weights))

    before, found = loss(rows.features), {}
    for name, part, which in columns:
        grown = []
        for _ in range(repeats):
            values = rows.features[part].copy()
            values[:, which] = values[random.permutation(len(rows))][:, which]
            grown.append(loss({**rows.features, part: values}) - before)
        found[name] = float(np.mean(grown))
    return {"permutationImportance": dict(sorted(found.items(), key=lambda each: -each[1]))}


def _columns(schema: Schema) -> Iterator[tuple[str, str, Any]]:
    """Yield each feature of a table, and where its values are."""
    begin = 0
    for each in schema.dense:
        end = begin + math.prod(each.shape)
        yield each.name, NUMBERS, slice(begin, end)
        begin = end
    for place, name in enumerate(schema.texts):
        yield name, CATEGORIES, slice(place, place + 1)
