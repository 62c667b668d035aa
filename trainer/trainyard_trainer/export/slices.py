"""The metrics of the validation rows by the values of a column: where a model is good, and for whom it is not."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NotRequired, TypeAlias, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.profile import rows_in
from trainyard_trainer.data.table import BATCH_ROWS, RawBatch
from trainyard_trainer.fitting.fit import Trained
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.fitting.steps import LABELS, WEIGHTS, as_block, sums_of
from trainyard_trainer.tensors import Integers, Mask, Tensor, Total, Totals

MOST_VALUES = 50
"""The rows of a column's rarer values are told together."""
_BLOCK_BYTES = 16 << 20
_OTHERS = object()
_ROWS = "rows"


class SliceMetrics(TypedDict):
    """The validation rows with one value of a column: how many there are, and their metrics.

    Of the rarer values `others` tells how many there are, instead of `value`.
    """

    value: NotRequired["Value"]
    others: NotRequired[int]
    rows: int
    metrics: dict[str, float]


Value: TypeAlias = str | None
"""A value of a column; None where it is missing."""


def metrics_by_slice(prepared: Prepared, trained: Trained) -> dict[str, list[SliceMetrics]]:
    """Return, for each column of `data.slices`, the rows and metrics of its values, the most frequent first.

    They are those of the exported weights. A row is read twice, once to count the values.
    """
    columns = prepared.profile.schema.slices
    if not columns:
        return {}
    counts: dict[str, Counter[Value]] = {name: Counter() for name in columns}
    for raw, which in _validation_rows(prepared):
        for name in columns:
            counts[name].update(raw.slices[name].filter(pa.array(which)).to_pylist())
    shown = {name: [value for value, _ in _by_frequency(counts[name])[:MOST_VALUES]] for name in columns}
    totals = _totals(prepared, trained, shown)
    return {name: _slices(trained, totals, name, shown[name], len(counts[name]) - MOST_VALUES) for name in columns}


def _slices(
    trained: Trained, totals: Mapping[tuple[str, object], Totals], name: str, values: list[Value], rarer: int
) -> list[SliceMetrics]:
    """Return the metrics of the values of one column, and those of `rarer` other values together."""
    slices = [
        SliceMetrics(value=value, rows=int(found[_ROWS]), metrics=_validation_metrics(trained, found))
        for value in values
        if (found := totals.get((name, value)))
    ]
    if others := totals.get((name, _OTHERS)):
        slices.append(SliceMetrics(others=rarer, rows=int(others[_ROWS]), metrics=_validation_metrics(trained, others)))
    return slices


def _validation_metrics(trained: Trained, totals: Totals) -> dict[str, float]:
    return {f"val_{metric}": score for metric, score in trained.task.metrics(totals).items()}


def _by_frequency(counts: Counter[Value]) -> list[tuple[Value, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))


def _validation_rows(prepared: Prepared) -> Iterator[tuple[RawBatch, Mask]]:
    table, facts = prepared.table, prepared.profile
    size = rows_in(_BLOCK_BYTES, facts.row_bytes, most=BATCH_ROWS)
    for number, shard in enumerate(table.shards()):
        mask = facts.mask(number)
        if not mask.any():
            continue
        for raw in table.read(shard, batch_rows=size):
            which = mask[raw.first_row : raw.first_row + len(raw)]
            if which.any():
                yield raw, which


def _totals(
    prepared: Prepared, trained: Trained, shown: Mapping[str, list[Value]]
) -> dict[tuple[str, object], dict[str, Total]]:
    totals: dict[tuple[str, object], dict[str, Total]] = {}
    for raw, which in _validation_rows(prepared):
        block = as_block(prepared.profile.encode(raw).take(which), trained.encoder.encode)
        labels, weights = block.pop(LABELS), block.pop(WEIGHTS, None)
        totals_of = _totals_of(trained, labels, trained.model(block, training=False), weights)
        for name, values in shown.items():
            column = raw.slices[name].filter(pa.array(which))
            places = pc.index_in(column, pa.array(values, pa.string())).to_numpy(zero_copy_only=False)
            places = np.nan_to_num(places, nan=len(values)).astype(int)
            for place in np.unique(places):
                value = values[place] if place < len(values) else _OTHERS
                found = totals.setdefault((name, value), {})
                for total, more in totals_of(np.flatnonzero(places == place)).items():
                    found[total] = found.get(total, 0.0) + more
    return totals


def _totals_of(
    trained: Trained, labels: Tensor, outputs: Tensor, weights: Tensor | None
) -> Callable[[Integers], Totals]:
    import tensorflow as tf

    task, losses = trained.task, trained.task.loss(labels, outputs)

    def of(rows: Integers) -> Totals:
        own = None if weights is None else tf.gather(weights, rows)
        further = task.validation_sums(tf.gather(labels, rows), tf.gather(outputs, rows), own)
        sums = sums_of(tf.gather(losses, rows), further, own)
        return {name: np.asarray(total, np.float64) for name, total in sums.items()} | {_ROWS: len(rows)}

    return of
