"""Which rows are whose: none twice, none left out, the same number of steps for all."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard_trainer.data.batch import EncodedBatch
from trainyard_trainer.data.pipeline import StreamedRows, validation_blocks
from trainyard_trainer.data.profile import Profile, profile
from trainyard_trainer.data.source import find
from trainyard_trainer.data.table import Table
from trainyard_trainer.data.tabular import NUMBERS
from trainyard_trainer.workers.sharding import ALL, Share


def as_they_are(rows: EncodedBatch) -> Any:
    """Stand in for the encoder: what a test looks at are rows, no tensors."""
    return rows


def shares(count: int) -> list[Share]:
    return [Share(index, count) for index in range(count)]


@pytest.mark.parametrize(
    ("rows", "batch", "workers"), [(97, 8, 2), (96, 8, 2), (97, 8, 3), (10, 10, 4), (11, 5, 5), (1000, 7, 3)]
)
def test_the_workers_together_train_on_the_batches_of_one_alone(rows: int, batch: int, workers: int) -> None:
    order = np.random.default_rng(1).permutation(rows).astype(np.int32)
    steps = -(-rows // batch)

    own = [share.order(order, batch) for share in shares(workers)]

    for step in range(steps):
        whole = order[step * batch : (step + 1) * batch]
        parts: list[int] = []
        for share, mine in zip(shares(workers), own, strict=True):
            size = share.of(batch)
            part = mine[step * size : (step + 1) * size]
            assert len(part) > 0, "each worker has something to take part with"
            parts.extend(part[: share.of(len(whole))])
        assert sorted(parts) == sorted(whole)
    assert {-(-len(mine) // share.of(batch)) for share, mine in zip(shares(workers), own, strict=True)} == {steps}


def test_one_worker_has_all_in_its_order() -> None:
    order = np.arange(13)

    assert ALL.order(order, 4) is order
    assert ALL.ranges([5, 0, 8], 4) == [(0, 0, 5), (2, 0, 8)]


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("sizes", [[100], [30, 30, 30, 10], [1] * 60, [0, 50, 0, 3], [7, 200, 1]])
def test_runs_of_units_cover_every_row_once(sizes: list[int], workers: int) -> None:
    seen = [
        (unit, row)
        for share in shares(workers)
        for unit, begin, end in share.ranges(sizes, 10)
        for row in range(begin, end)
    ]

    assert sorted(seen) == [(unit, row) for unit, size in enumerate(sizes) for row in range(size)]
    assert len(seen) == len(set(seen))


def a_table(folder: Path) -> tuple[Table, Profile]:
    for part in range(3):
        values = np.arange(part * 97, part * 97 + 97)
        pq.write_table(
            pa.table({"a": values.astype(np.float32), "label": values % 2}),
            folder / f"{part}.parquet",
            row_group_size=20,
        )
    table = Table(find(str(folder), "auto"), label="label", features=None)
    return table, profile(
        table, task="binaryClassification", fraction=0.2, seed=1, cache_bytes=1, watch=lambda rows: None
    )


@pytest.mark.parametrize(("workers", "batch"), [(2, 8), (3, 8), (2, 29), (4, 33)])
@pytest.mark.parametrize("block_bytes", [100, 800, 100_000])
def test_streamed_rows_are_shared_without_overlap_or_loss_in_equal_steps_and_resume(
    workers: int, batch: int, block_bytes: int, tmp_path: Path
) -> None:
    table, facts = a_table(tmp_path)
    counted: list[float] = []
    calls = []
    for share in shares(workers):
        rows = StreamedRows(
            table, facts, seed=7, batch_size=batch, block_bytes=block_bytes, prepare=as_they_are, share=share
        )
        own, step, steps = share.of(batch), 0, []
        every = []
        for block in rows.epoch(2, 0):
            steps.append(-(-len(block.order) // own))
            for first in range(0, len(block.order), own):
                there = min(batch, facts.training_rows - step * batch)
                part = (
                    cast(EncodedBatch, block.rows)
                    .take(block.order[first : first + own])
                    .features[NUMBERS][:, 0]
                    .tolist()
                )
                every.append(part)
                counted.extend(part[: share.of(there)])
                step += 1
        calls.append(steps)
        resumed = [
            cast(EncodedBatch, block.rows).take(block.order[first : first + own]).features[NUMBERS][:, 0].tolist()
            for block in rows.epoch(2, 3 * own)
            for first in range(block.start, len(block.order), own)
        ]
        assert resumed == every[3:]

    masks = np.concatenate([facts.mask(i) for i in range(len(facts.masks))])
    assert sorted(counted) == np.flatnonzero(~masks).tolist()
    assert all(each == calls[0] for each in calls), "all cut the epoch into the same calls"


@pytest.mark.parametrize("workers", [1, 2, 20])
def test_every_validation_row_is_somebodys(workers: int, tmp_path: Path) -> None:
    table, facts = a_table(tmp_path)

    found = [
        row
        for share in shares(workers)
        for rows in validation_blocks(table, facts, block_rows=30, share=share)
        for row in rows.features[NUMBERS][:, 0].astype(int).tolist()
    ]

    masks = np.concatenate([facts.mask(i) for i in range(len(facts.masks))])
    assert sorted(found) == np.flatnonzero(masks).tolist()
