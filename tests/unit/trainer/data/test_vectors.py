"""Lists of numbers and MLlib vectors as arrays."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from support.tables import MLLIB_VECTOR as MLLIB
from support.tables import full, sparse
from trainyard_trainer.data.vectors import dense, is_vector, length_of

NAN = float("nan")


@pytest.mark.parametrize(
    ("column", "expected", "lengths"),
    [
        (pa.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]], [2, 2]),
        (pa.array([[1.5, None], None, [3, 4]]), [[1.5, NAN], [NAN, NAN], [3, 4]], [2, -1, 2]),
        (pa.array([[1, 2], [3], [4, 5, 6], []]), [[1, 2], [NAN, NAN], [NAN, NAN], [NAN, NAN]], [2, 1, 3, 0]),
        (pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), [[1, 2], [3, 4]], [2, 2]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], [NAN, NAN]], [2, -1]),
        (pa.array([[True, False]], pa.large_list(pa.bool_())), [[1, 0]], [2]),
        (pa.array([[Decimal("1.25"), Decimal(2)]]), [[1.25, 2]], [2]),
        (pa.array([full(1, 2), full(3, 4)], MLLIB), [[1, 2], [3, 4]], [2, 2]),
        (
            pa.array([full(1, 2), sparse(2, {1: 5.0}), None, sparse(2, {})], MLLIB),
            [[1, 2], [0, 5], [NAN, NAN], [0, 0]],
            [2, 2, -1, 2],
        ),
        (
            pa.array([sparse(2, {0: 7.0}), sparse(3, {2: 5.0}), full(1)], MLLIB),
            [[7, 0], [NAN] * 2, [NAN] * 2],
            [2, 3, 1],
        ),
    ],
)
def test_vectors_become_rows_of_an_array(column: Any, expected: list[list[float]], lengths: list[int]) -> None:
    for offset in (0, 1):  # a slice of a column has the buffers of all of it
        found, measured = dense(column.slice(offset), 2)

        assert is_vector(column.type)
        np.testing.assert_array_equal(found, np.array(expected, np.float32).reshape(-1, 2)[offset:])
        np.testing.assert_array_equal(measured, lengths[offset:])


def test_the_length_is_that_of_the_first_vector() -> None:
    assert length_of(pa.array([None, [1, 2, 3]])) == 3
    assert length_of(pa.array([None, sparse(9, {})], MLLIB)) == 9
    assert length_of(pa.nulls(2, pa.list_(pa.float32()))) is None


@pytest.mark.parametrize("type_", [pa.list_(pa.string()), pa.float32(), pa.struct([("type", pa.int8())])])
def test_other_types_are_no_vectors(type_: Any) -> None:
    assert not is_vector(type_)
