"""The order of the rows, in memory and streamed."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard_trainer.data.batch import EncodedBatch
from trainyard_trainer.data.pipeline import MemoryRows, StreamedRows, TrainingRows, ahead, validation_blocks
from trainyard_trainer.data.profile import Profile, profile
from trainyard_trainer.data.source import find
from trainyard_trainer.data.table import Table
from trainyard_trainer.data.tabular import NUMBERS

BATCH = 8
COUNT = 500


def as_they_are(rows: EncodedBatch) -> Any:
    """Stand in for the encoder: what a test looks at are rows, no tensors."""
    return rows


def a_table(folder: Path, cache: int) -> tuple[Table, Profile]:
    """Column a is the row's number; the rows are sorted by label."""
    for part in range(5):
        values = np.arange(part * 100, part * 100 + 100)
        columns = {"a": values.astype(np.float32), "label": (values >= 250).astype(int)}
        pq.write_table(pa.table(columns), folder / f"part-{part}.parquet", row_group_size=30)
    table = Table(find(str(folder), "auto"), label="label", features=None)
    return table, profile(
        table, task="binaryClassification", fraction=0.2, seed=1, cache_bytes=cache, watch=lambda rows: None
    )


@pytest.fixture(params=["memory", "streamed"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> TrainingRows:
    table, facts = a_table(tmp_path, cache=1 << 20 if request.param == "memory" else 1)
    kept = facts.kept.take_training()
    if kept is not None:
        return MemoryRows(kept, seed=7, prepare=as_they_are)
    return StreamedRows(table, facts, seed=7, batch_size=BATCH, block_bytes=800, prepare=as_they_are)


def batches(rows: TrainingRows, epoch: int, done: int = 0) -> list[list[int]]:
    """Return the row numbers of each batch of an epoch, as the loop cuts them."""
    found = []
    for block in rows.epoch(epoch, done):
        for first in range(block.start, len(block.order), BATCH):
            chosen = cast(EncodedBatch, block.rows).take(block.order[first : first + BATCH])
            found.append(chosen.features[NUMBERS][:, 0].astype(int).tolist())
    return found


def test_an_epoch_has_every_training_row_once_in_full_batches(rows: TrainingRows) -> None:
    found = batches(rows, 0)

    seen = [row for batch in found for row in batch]
    assert len(seen) == len(set(seen)) == 400
    assert {len(batch) for batch in found} == {BATCH}


def test_each_epoch_has_an_order_of_its_own_that_is_always_the_same(rows: TrainingRows) -> None:
    assert batches(rows, 0) == batches(rows, 0)
    assert batches(rows, 0) != batches(rows, 1)


def test_an_epoch_goes_on_from_any_step(rows: TrainingRows) -> None:
    whole = batches(rows, 3)

    for step in (0, 1, 12, 13, 49, 50):
        assert batches(rows, 3, step * BATCH) == whole[step:]


def test_rows_sorted_by_label_come_mixed(rows: TrainingRows) -> None:
    first_quarter = [row for batch in batches(rows, 0)[:12] for row in batch]

    assert 0.2 < np.mean([row >= 250 for row in first_quarter]) < 0.8


def test_streaming_ends_with_a_short_batch_only_at_the_end_of_the_epoch(tmp_path: Path) -> None:
    table, facts = a_table(tmp_path, cache=1)
    streamed = StreamedRows(table, facts, seed=7, batch_size=48, block_bytes=800, prepare=as_they_are)

    assert [len(block.order) for block in streamed.epoch(0, 0)] == [96, 96, 96, 96, 16]


def test_how_many_pieces_are_read_at_a_time_is_found_out_and_does_not_change_the_order(tmp_path: Path) -> None:
    table, facts = a_table(tmp_path, cache=1)
    told: list[int] = []

    def streamed(*depths: int) -> StreamedRows:
        return StreamedRows(
            table,
            facts,
            seed=7,
            batch_size=BATCH,
            block_bytes=800,
            prepare=as_they_are,
            tell=lambda depth, speed: told.append(depth),
            depths=depths,
        )

    one_by_one, together, measured = streamed(1), streamed(3), streamed(1, 2, 8)
    for epoch in range(20):
        assert batches(one_by_one, epoch) == batches(together, epoch) == batches(measured, epoch)
    assert len(told) == 1


@pytest.mark.parametrize("cache", [1 << 20, 1])
def test_validation_rows_are_the_same_from_memory_and_from_files(cache: int, tmp_path: Path) -> None:
    table, facts = a_table(tmp_path, cache)

    found = np.concatenate([each.features[NUMBERS][:, 0] for each in validation_blocks(table, facts, block_rows=30)])

    masks = np.concatenate([facts.mask(i) for i in range(len(facts.masks))])
    np.testing.assert_array_equal(found, np.arange(COUNT)[masks])


def test_reading_ahead_hands_errors_over() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = ahead(source())

    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_reading_ahead_ends_its_thread_when_nobody_listens_any_more() -> None:
    before = threading.active_count()
    items = ahead(iter(range(1000)))

    next(items)
    items.close()

    assert threading.active_count() == before


def test_rows_know_their_size_that_of_texts_too() -> None:
    assert EncodedBatch({"x": np.zeros((3, 2), np.float32)}, np.zeros(3, np.int32)).nbytes == 36
    assert EncodedBatch({"x": np.array(["a" * 1000, "b"], object)}, np.zeros(2, np.int32)).nbytes > 1000
