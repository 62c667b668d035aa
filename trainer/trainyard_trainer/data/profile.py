"""One pass over the data: what training has to know of it before it starts."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from trainyard_api.fit import Fit
from trainyard_api.program import Task
from trainyard_trainer.data.bad_rows import UnreadableRows
from trainyard_trainer.data.batch import EncodedBatch, gather
from trainyard_trainer.data.columns import ColumnUse, column_uses
from trainyard_trainer.data.content_digest import ContentDigest
from trainyard_trainer.data.dataset import DataSet
from trainyard_trainer.data.inputs import FeatureAnalyzer, FeatureStatistics
from trainyard_trainer.data.label_order import LabelRunCounter, LabelRuns
from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.labels import LabelCounter, Labels, counter_of
from trainyard_trainer.data.parts import Part
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.split import Splitter
from trainyard_trainer.data.table import BATCH_ROWS, RawBatch
from trainyard_trainer.data.tabular import TableAnalyzer
from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Array, Bytes, Integers, Mask

_TEST = 1 << 32
"""Makes another seed of one: the rows of the test are no pattern of those to validate with."""
_BATCH_BYTES = 16 << 20
"""What rows may take in memory, about, while they are looked at."""


@dataclass(slots=True)
class KeptRows:
    """The rows themselves, those for training and those for validation, each where they fit the cache."""

    training: EncodedBatch | None
    validation: EncodedBatch | None
    streamed: bool = field(init=False)
    """Whether the rows to train on are read anew for each epoch; handing them over does not change that."""

    def __post_init__(self) -> None:
        self.streamed = self.training is None

    def take_training(self) -> EncodedBatch | None:
        """Hand over the rows for training, so that their memory is free once they have been prepared."""
        rows, self.training = self.training, None
        return rows


@dataclass(frozen=True, slots=True)
class Profile:
    """What the training rows look like, and which rows are for validation.

    `masks` holds, for each shard of the data set, a packed bit a row: whether it is for validation. `test_masks` tells
    the same of the test, where there is one. `runs` tells, for each shard, whether it is sorted by the label. `content`
    is a digest of what is in the rows, in hex.
    """

    schema: Schema
    labels: Labels
    features: FeatureStatistics
    training_rows: int
    validation_rows: int
    shard_rows: tuple[int, ...]
    runs: tuple[LabelRuns, ...]
    masks: tuple[Bytes, ...]
    kept: KeptRows
    content: str
    mean_weight: float = 1.0
    """Of the training rows; 1 where all rows count alike."""
    test_rows: int = 0
    test_masks: tuple[Bytes, ...] = ()

    @property
    def rows(self) -> int:
        return self.training_rows + self.validation_rows + self.test_rows

    @property
    def columns(self) -> tuple[ColumnUse, ...]:
        """What each column was taken for."""
        return column_uses(self.schema, self.features)

    @property
    def digest(self) -> str:
        """A digest of everything the model's input depends on: it differs where a checkpoint would not fit."""
        described = repr((self.schema, self.labels, self.shard_rows)).encode()
        masks = [each.tobytes() for each in (*self.masks, *self.test_masks)]
        return hashlib.sha256(b"\0".join([described, self.features.digest, *masks])).hexdigest()

    @property
    def row_bytes(self) -> int:
        """Memory of a row with its label, about."""
        label = len(self.labels.names) if isinstance(self.labels, LabelSets) else 4
        return self.features.row_bytes + label + (4 if self.schema.weight else 0)

    def encode(self, raw: RawBatch) -> EncodedBatch:
        """Return raw rows as the arrays the training side takes."""
        weights = None if raw.weights is None else raw.weights / np.float32(self.mean_weight)
        return EncodedBatch(self.features.arrays(raw), self.labels.encode(raw.label), weights)

    def mask(self, shard: int, part: Part = "validation") -> Mask:
        """Return, for each row of a shard, whether it is for validation, or for something else."""
        rows = self.shard_rows[shard]
        if part == "training":
            return ~(self.mask(shard) | self.mask(shard, "test"))
        if part == "test" and not self.test_masks:
            return np.zeros(rows, bool)
        return np.unpackbits((self.masks if part == "validation" else self.test_masks)[shard], count=rows).astype(bool)


def profile(
    table: DataSet,
    *,
    task: Task,
    fraction: float,
    seed: int,
    cache_bytes: int,
    watch: Callable[[int], None],
    counter: FeatureAnalyzer | None = None,
    insists: bool = True,
    drop_unlabelled: bool = False,
    test_fraction: float = 0.0,
    fold: int | None = None,
    fit: Fit | None = None,
) -> Profile:
    """Read all rows once, for features of a table where no counter of others is given.

    `watch` is told, batch by batch, how many rows have been read. With a `fold`, the validation rows are that one of
    1 / fraction folds. `fit` says what is learnt of a label. `insists` says that a fraction of less than a row is an
    error.

    Raises:
        BadInput: the rows cannot be learnt from; the message says why and what to change.
    """
    counter = counter or TableAnalyzer(table.schema)
    # Of the rows that the test leaves. Those of the test are the same for all folds, and whatever is validated with.
    splitter = Splitter(fraction / (1 - test_fraction) if fold is None else fraction, seed, fold=fold)
    tester = Splitter(test_fraction, seed ^ _TEST)
    labels = counter_of(task, table.schema.label.name, fit or Fit())
    whole_pass = _Pass(table, task, counter, labels, (splitter, tester), cache_bytes)
    return whole_pass.run(fraction, watch, insists=insists, drop_unlabelled=drop_unlabelled)


def rows_in(size: int, row_bytes: int, *, most: int) -> int:
    """Return how many rows fit into `size` bytes: at least one, and at most `most`."""
    return max(1, min(most, size // row_bytes))


class _Pass:
    def __init__(
        self,
        table: DataSet,
        task: Task,
        features: FeatureAnalyzer,
        labels: LabelCounter,
        splitters: tuple[Splitter, Splitter],
        cache_bytes: int,
    ) -> None:
        self._table, self._task, self._features, self._labels = table, task, features, labels
        self._splitter, self._tester = splitters
        self._runs, self._content = LabelRunCounter(), ContentDigest()
        self._caches = {False: _Cache(cache_bytes), True: _Cache(cache_bytes // 4)}
        self._weights = {False: 0.0, True: 0.0}

    def run(self, fraction: float, watch: Callable[[int], None], *, insists: bool, drop_unlabelled: bool) -> Profile:
        masks, tests, rows = [], [], 0
        batch_rows = rows_in(_BATCH_BYTES, self._features.row_bytes, most=BATCH_ROWS)
        for shard in self._table.shards():
            parts = [(np.zeros(0, bool), np.zeros(0, bool))]
            for raw in self._table.read(shard, batch_rows=batch_rows):
                parts.append(self._add(raw))
                rows += len(parts[-1][0])
                watch(rows)
            masks.append(np.concatenate([part for part, _ in parts]))
            tests.append(np.concatenate([part for _, part in parts]))
            self._runs.end()
        self._table.bad_rows.finish_unlabelled(rows, drop=drop_unlabelled)
        held_back, tested = (sum(int(mask.sum()) for mask in each) for each in (masks, tests))
        if rows - tested < 2:
            found = "one row" if rows > tested else "a header but no rows"
            raise BadInput(f"{self._table.sources.training.location} has {found}: expected at least two")
        self._check_test(rows, tested)
        rows -= tested
        if self._splitter.fold is not None and not held_back:
            raise BadInput(
                f"data.validation.folds asks for more folds than {rows} rows have: fold {self._splitter.fold + 1} has "
                "no row; use fewer folds"
            )
        column, split = self._table.schema.validation, self._table.split
        if split and held_back in (0, rows):
            raise BadInput(split.trouble)
        if column and held_back in (0, rows):
            raise BadInput(
                f"column {column!r} chooses {'every' if held_back else 'no'} row for validation: expected both rows to "
                "train on and rows to validate with; correct it, or use data.validation.fraction"
            )
        labels = self._labels.finish(self._task)
        if fraction and not held_back and insists:
            of_class = " of any class" if rows * fraction >= 1 else ""
            raise BadInput(
                f"data.validation.fraction {fraction:g} of {rows} rows is less than a row{of_class}: use a larger "
                "fraction, or 0"
            )
        features = self._features.finish(rows - held_back)
        mean_weight = self._mean_weight(rows - held_back, held_back)
        return Profile(
            schema=self._table.schema,
            labels=labels,
            features=features,
            training_rows=rows - held_back,
            validation_rows=held_back,
            shard_rows=tuple(len(mask) for mask in masks),
            runs=self._runs.finish(),
            masks=tuple(np.packbits(mask) for mask in masks),
            kept=KeptRows(
                *(self._caches[which].rows(self._features, self._labels, mean_weight) for which in (False, True))
            ),
            content=self._content.hexdigest(),
            mean_weight=mean_weight,
            test_rows=tested,
            test_masks=tuple(np.packbits(mask) for mask in tests) if tested else (),
        )

    def _check_test(self, rows: int, tested: int) -> None:
        if self._tester.share and not tested:
            raise BadInput(
                f"data.test.fraction {self._tester.share:g} of {rows} rows is less than a row: use a larger fraction"
            )
        if self._table.sources.test and not tested:
            raise BadInput(f"{self._table.sources.test.location}, which data.test.uri names, has no row to test with")

    def _mean_weight(self, training: int, held_back: int) -> float:
        weight = self._table.schema.weight
        if weight is None:
            return 1.0
        for which, rows, what in ((False, training, "train on"), (True, held_back, "validate with")):
            if rows and not self._weights[which]:
                raise BadInput(
                    f"the weight {weight.name!r} is 0 in every row to {what}: no row counts; correct it, or name "
                    "another column in data.weight"
                )
        return self._weights[False] / training

    def _add(self, raw: RawBatch) -> tuple[Mask, Mask]:
        """Take in a batch; returns which of its rows that can be used are for validation, and which for the test."""
        raw, read = self._read(raw)
        strata = self._labels.codes(raw)
        self._runs.add(strata)
        self._content.add(raw)
        held_back, tested = self._parted(raw, strata)
        training = ~(held_back | tested)
        self._labels.count(raw, strata, training)
        self._features.count(read, training)
        whole = EncodedBatch(read, self._labels.kept(raw, strata), raw.weights)
        for which, part in ((False, training), (True, held_back)):
            self._caches[which].add(whole, part)
            if raw.weights is not None:
                self._weights[which] += float(raw.weights[part].sum(dtype=np.float64))
        return held_back, tested

    def _parted(self, raw: RawBatch, strata: Integers) -> tuple[Mask, Mask]:
        """Return which rows are for validation, and which for the test."""
        free = np.ones(len(strata), bool) if raw.held_back is None else ~raw.held_back
        tested = np.zeros(len(strata), bool)
        if raw.tested is not None:
            tested = raw.tested
        else:
            tested[free] = self._tester.validation(strata[free])
        if raw.held_back is not None:
            return raw.held_back, tested
        held_back = np.zeros(len(strata), bool)
        held_back[~tested] = self._splitter.validation(strata[~tested])
        return held_back, tested

    def _read(self, raw: RawBatch) -> tuple[RawBatch, dict[str, Array]]:
        """Return the rows that can be decoded, and what is in them; the table leaves out the others from now on."""
        try:
            return raw, self._features.read(raw)
        except UnreadableRows as error:
            self._table.bad_rows.add(raw.bad(error.rows))
            rest = raw.without(error.rows)
            return rest, self._features.read(rest)


class _Cache:
    """Keeps rows as long as they fit; from then on keeps nothing."""

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._parts: list[EncodedBatch] = []

    def add(self, rows: EncodedBatch, which: Mask) -> None:
        if self._room > 0 and which.any():
            self._parts.append(rows.take(which))
            self._room -= self._parts[-1].nbytes
            if self._room <= 0:
                self._parts.clear()

    def rows(self, features: FeatureAnalyzer, labels: LabelCounter, mean_weight: float) -> EncodedBatch | None:
        if not self._parts:
            return None
        whole = gather(self._parts)
        weights = None if whole.weights is None else whole.weights / np.float32(mean_weight)
        return EncodedBatch(features.settle(whole.features), labels.encoded(whole.labels), weights)
