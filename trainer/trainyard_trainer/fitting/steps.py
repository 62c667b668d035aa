"""Training steps in the graph: many of them for each call from Python, which is most of the trainer's speed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainyard_trainer.data.batch import EncodedBatch
from trainyard_trainer.execution import PLAIN, Execution, computing_in
from trainyard_trainer.fitting.statistics import combine, statistics_of, values
from trainyard_trainer.fitting.throughput import CALL_SECONDS
from trainyard_trainer.tasks.scores import total
from trainyard_trainer.tasks.task import COUNT, LOSS, Task
from trainyard_trainer.tensors import (
    Arrays,
    Floats,
    Integers,
    Model,
    Optimizer,
    Strategy,
    Tensor,
    Tensors,
    Totals,
    Variable,
)
from trainyard_trainer.workers.sharding import ALL, Share

LABELS, WEIGHTS = "labels", "weights"
"""Names of tensors of a block beside the model's inputs; only rows that do not all count alike have weights."""
VALIDATION_BATCH = 4096
_VALIDATION_BYTES = 4 << 20
"""What the rows of a validation batch take at most where that is more than a training batch: images are large."""
_ENCODED_BYTES = 8 << 20
_MOST_LEFT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class StepsDone:
    """What a call did: the totals so far, and whether all numbers are still finite.

    `bad_step` is the first of the call's steps, from 0, whose loss was not finite, or -1.
    """

    totals: Mapping[str, float]
    bad_step: int
    weights_finite: bool


class StepRunner:
    """Runs training steps and validations of one model on rows that are in memory."""

    call_seconds = CALL_SECONDS
    """How long a call shall take."""

    def __init__(
        self,
        model: Model,
        optimizer: Optimizer,
        task: Task,
        *,
        batch_size: int,
        strategy: Strategy | None = None,
        share: Share = ALL,
        class_weights: Floats | None = None,
        execution: Execution = PLAIN,
    ) -> None:
        self._model, self._optimizer, self._task = model, optimizer, task
        self._batch_size, self._share, self._class_weights = batch_size, share, class_weights
        self._strategy, self._replicas = strategy, strategy.num_replicas_in_sync if strategy else 1
        self._local_replicas = self._replicas // share.count
        self._weights = [weight.value for weight in model.weights if weight.dtype.startswith(("float", "bfloat"))]
        self._statistics = statistics_of(model) if strategy else []
        self._execution = execution
        self._train: dict[bool, Callable[..., tuple[Tensors, Tensor, Tensor]]] = {}
        self.state: tuple[Variable, ...] = ()
        """Variables beside those of model and optimizer that a checkpoint has to keep."""
        self._validate: Callable[[Tensors], Tensors] | None = None

    def zero_totals(self) -> dict[str, float]:
        """Return the totals an epoch starts with."""
        return {name: np.float64(0) for name in (COUNT, LOSS, *self._task.totals)}

    def train(
        self, block: Tensors, order: Integers, *, first: int, steps: int, totals: Mapping[str, float], left: int = 0
    ) -> StepsDone:
        """Run `steps` steps on the rows `order[first:]` of a block, and add to the totals.

        Where there are several workers, `left` says how many rows all of them have left in this epoch: it tells how
        large each batch is as a whole.
        The totals are carried through the graph in double precision, so they do not depend on how the steps of an
        epoch are cut into calls.
        """
        whole = min(steps, (len(order) - first) // self._batch_size) if self._share.count == 1 else 0
        done = StepsDone(totals, -1, True)
        # Steps whose shapes never change are quicker, and XLA knows no others: a last batch that is short goes alone.
        for is_whole, count in ((True, whole), (False, steps - whole)):
            if count and done.bad_step < 0:
                done = self._call(block, order, first, count, done.totals, left, whole=is_whole)
                first += count * self._batch_size
        return done

    def _call(
        self,
        block: Tensors,
        order: Integers,
        first: int,
        steps: int,
        totals: Mapping[str, float],
        left: int,
        *,
        whole: bool,
    ) -> StepsDone:
        sums, bad_step, finite = self._steps(block, whole=whole)(
            block, order, np.int32(first), np.int32(steps), np.int32(min(left, _MOST_LEFT)), totals
        )
        return StepsDone({name: value.numpy() for name, value in sums.items()}, int(bad_step), bool(finite))

    def _steps(self, block: Tensors, *, whole: bool) -> Callable[..., tuple[Tensors, Tensor, Tensor]]:
        """Return the graph of steps on such blocks."""
        if whole not in self._train:
            specs = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for name, value in block.items()}
            scalars = {name: tf.TensorSpec([], tf.float64) for name in self.zero_totals()}
            counts = tf.TensorSpec([], tf.int32)
            signature = [specs, tf.TensorSpec([None], tf.int32), counts, counts, counts, scalars]
            self._train[whole] = tf.function(
                lambda *arguments: self._train_steps(*arguments, whole=whole),
                input_signature=signature,
                jit_compile=whole and self._execution.jit_compile,
                autograph=False,
            )
        return self._train[whole]

    def validate(self, block: Tensors) -> Totals:
        """Return the totals of the rows of a block, without training on them."""
        if self._validate is None:
            specs = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for name, value in block.items()}
            self._validate = tf.function(self._validate_rows, input_signature=[specs], autograph=False)
        return {name: value.numpy() for name, value in self._validate(block).items()}

    def _train_steps(
        self, block: Tensors, order: Tensor, first: Tensor, steps: Tensor, left: Tensor, totals: Tensors, *, whole: bool
    ) -> tuple[Tensors, Tensor, Tensor]:
        size = self._share.of(self._batch_size)

        def one_step(i: Tensor, good: Tensor, totals: Tensors) -> tuple[Tensor, Tensor, Tensors]:
            begin = first + i * size
            # XLA takes where a slice begins for a constant, and would compile anew for every call.
            which = tf.gather(order, begin + tf.range(size)) if whole else order[begin : begin + size]
            alone = self._share.count == 1
            batch = tf.size(which) if alone else tf.minimum(left - i * self._batch_size, self._batch_size)
            sums = self._step(block, which, batch)
            added = {name: totals[name] + tf.cast(sums[name], tf.float64) for name in totals}
            # Once a loss is not finite, the total never is again.
            return i + 1, good + tf.cast(tf.math.is_finite(added[LOSS]), tf.int32), added

        _, good, totals = tf.while_loop(
            lambda i, *_: i < steps, one_step, (tf.constant(0), tf.constant(0), totals), parallel_iterations=1
        )
        bad_step = tf.where(good < steps, good, -1)
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(weight)) for weight in self._weights])
        return totals, bad_step, finite

    def _step(self, block: Tensors, which: Tensor, batch: Tensor) -> dict[str, Tensor]:
        if self._strategy is None:
            return self._replica_step(block, which, batch)
        size = math.ceil(self._share.of(self._batch_size) / self._local_replicas)

        # The rows are gathered where the block is, and each replica is sent its share only.
        def replica_step() -> dict[str, Tensor]:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group % self._local_replicas
            count = tf.where(self._share.index < batch, tf.size(which[replica :: self._local_replicas]), 0)
            # The last batch may have fewer rows, or none, for a replica. It is filled up with rows of the batch that do
            # not count, because not every layer takes a batch without rows; BatchNormalization sees them too.
            places = (replica + self._local_replicas * tf.range(size)) % tf.size(which)
            return self._replica_step(block, tf.gather(which, places), batch, count)

        sums = self._strategy.run(replica_step)
        return {name: tf.add_n(self._strategy.experimental_local_results(value)) for name, value in sums.items()}

    def _replica_step(
        self, block: Tensors, which: Tensor, batch: Tensor, count: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Train on the rows `which` of a block, of which the first `count` count, for a batch of `batch` rows."""
        rows = {name: tf.gather(value, which) for name, value in block.items()}
        labels, weights = _first(count, rows.pop(LABELS)), rows.pop(WEIGHTS, None)
        weights = None if weights is None else _first(count, weights)
        variables, counted = self._model.trainable_variables, values(self._statistics)
        with tf.GradientTape() as tape:
            with computing_in(self._model, self._execution.precision):
                outputs = _first(count, tf.cast(self._model(rows, training=True), tf.float32))
            losses = self._task.loss(labels, outputs)
            if self._class_weights is not None:
                losses *= tf.gather(self._class_weights, labels)
            # Gradients of replicas are added up, so each divides by the whole batch. Weights are 1 on average.
            loss = total(losses, weights) / tf.cast(batch, tf.float32)
            if self._model.losses:
                loss += tf.add_n(self._model.losses) / self._replicas
            loss = self._optimizer.scale_loss(loss)
        # An embedding has its gradient in slices, one for each use of a row. Keras squares them one by one, so that
        # adam's second moment is too small for a row that is used twice; and its steps take longer than on the whole.
        whole = [
            None if gradient is None else tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, variables)
        ]
        self._optimizer.apply(whole, variables)
        if self._statistics:
            combine(self._statistics, counted, tf.cast(count, tf.float32) / tf.cast(batch, tf.float32))
        return sums_of(losses, self._task.sums(labels, outputs, weights), weights)

    def _validate_rows(self, block: Tensors) -> Tensors:
        rows = tf.shape(block[LABELS])[0]

        row_bytes = sum(value.dtype.size * math.prod(value.shape[1:]) for value in block.values())
        size = min(VALIDATION_BATCH, max(_VALIDATION_BYTES // row_bytes, self._batch_size))

        def batch_sums(begin: Tensor) -> dict[str, Tensor]:
            batch = {name: value[begin : begin + size] for name, value in block.items()}
            labels, weights = batch.pop(LABELS), batch.pop(WEIGHTS, None)
            outputs = self._model(batch, training=False)
            further = self._task.validation_sums(labels, outputs, weights)
            return sums_of(self._task.loss(labels, outputs), further, weights)

        def one_batch(begin: Tensor, totals: Tensors) -> tuple[Tensor, Tensors]:
            sums = batch_sums(begin)
            return begin + size, {k: totals[k] + tf.cast(sums[k], tf.float64) for k in totals}

        first = {name: tf.cast(value, tf.float64) for name, value in batch_sums(tf.constant(0)).items()}
        return tf.while_loop(lambda begin, _: begin < rows, one_batch, (tf.constant(size), first))[1]


def sums_of(losses: Tensor, further: dict[str, Tensor], weights: Tensor | None) -> dict[str, Tensor]:
    """Return the totals of some rows: what a task adds up, and their number and losses, by their weights."""
    return {COUNT: total(tf.ones_like(losses), weights), LOSS: total(losses, weights)} | further


def _first(count: Tensor | None, values: Tensor) -> Tensor:
    return values if count is None else values[:count]


def as_block(rows: EncodedBatch, encode: Callable[[Arrays], Tensors]) -> dict[str, Tensor]:
    """Return rows as the tensors a step takes: the encoded features, the labels, and weights where they have some.

    They are encoded in pieces, because on the way there are several copies of each, and those of texts are larger.
    """
    count = max(1, _ENCODED_BYTES * len(rows) // rows.nbytes)
    pieces = [rows.take(slice(i, i + count)) for i in range(0, len(rows), count)]
    encoded = [dict(encode(piece.features)) for piece in pieces]
    return (
        {name: tf.concat([part.pop(name) for part in encoded], axis=0) for name in list(encoded[0])}
        | {LABELS: tf.constant(rows.labels)}
        | ({} if rows.weights is None else {WEIGHTS: tf.constant(rows.weights)})
    )
