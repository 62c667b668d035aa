"""Runs of rows of one class, and which of them shuffling a block cannot break."""

from collections.abc import Sequence

import numpy as np
import pytest

from trainyard_trainer.data.label_order import LabelRunCounter, LabelRuns, outlast_blocks


def counted(*pieces: Sequence[Sequence[int]]) -> tuple[LabelRuns, ...]:
    counter = LabelRunCounter()
    for piece in pieces:
        for batch in piece:
            counter.add(np.array(batch, np.int64))
        counter.end()
    return counter.finish()


def test_runs_go_on_over_batches_but_not_over_pieces() -> None:
    found = counted([[0, 0, 1], [1, 1, 0]], [[0, 0]], [[]], [], [[2], [2], [1]])

    assert [(each.rows, each.count) for each in found] == [(6, 3), (2, 1), (0, 0), (0, 0), (3, 2)]


def test_the_runs_of_random_order_are_foretold() -> None:
    rng = np.random.default_rng(1)

    for chances in ([0.5, 0.5], [0.99, 0.01], [0.2] * 5):
        (found,) = counted([rng.choice(len(chances), 100_000, p=chances).tolist()])
        assert found.random == pytest.approx(found.count, rel=0.05)


HALVES = [[0] * 500 + [1] * 500]
RARE = [[0] * 100 + [1] + [0] * 899]


@pytest.mark.parametrize(
    ("pieces", "block_rows", "expected"),
    [
        pytest.param([HALVES], 100, True, id="one sorted file"),
        pytest.param([HALVES], 1000, True, id="a block is the file"),
        pytest.param([HALVES], 1001, False, id="a block is more than the file"),
        pytest.param([HALVES, HALVES], 100, True, id="two sorted files"),
        pytest.param([[[0, 1] * 500]], 100, False, id="alternating"),
        pytest.param([RARE], 100, False, id="a class so rare that its runs are long in any order"),
        pytest.param([[[0] * 1000]], 100, False, id="numbers to predict"),
        pytest.param([[[i // 5] * 100] for i in range(10)], 100, False, id="a sorted table in row groups"),
        pytest.param([[[0, 1] * 400], [[0] * 200 + [1] * 200]], 100, False, id="the smaller file is sorted"),
        pytest.param([], 100, False, id="no rows"),
    ],
)
def test_blocks_have_few_classes_where_most_rows_are_in_long_runs(
    pieces: list[list[list[int]]], block_rows: int, expected: bool
) -> None:
    assert outlast_blocks(counted(*pieces), block_rows=block_rows) is expected
