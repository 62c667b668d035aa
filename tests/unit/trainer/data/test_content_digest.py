"""The digest of what is in the rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trainyard_trainer.data.content_digest import ContentDigest
from trainyard_trainer.data.table import RawBatch


def some_rows(**changed: Any) -> RawBatch:
    return RawBatch(
        **{
            "file": "t",
            "first_row": 0,
            "numbers": np.array([[1, 2], [3, np.nan], [5, 6], [7, 8]], np.float32),
            "texts": (pa.array(["red", None, "", "green"]), pa.array(["a", "b", "c", "d"])),
            "label": pa.array([0.0, 1.0, 1.0, 0.0]),
            "media": {"image": pa.array([b"\0", b"ab", b"", b"c"], pa.binary())},
        }
        | changed
    )


def digest(*batches: RawBatch) -> str:
    content = ContentDigest()
    for each in batches:
        content.add(each)
    return content.hexdigest()


def cut(rows: RawBatch, begin: int, end: int) -> RawBatch:
    return replace(
        rows,
        numbers=rows.numbers[begin:end],
        texts=tuple(each[begin:end] for each in rows.texts),
        label=rows.label[begin:end],
        media={name: each[begin:end] for name, each in rows.media.items()},
    )


LISTS = pa.array([["a", "b"], [], None, ["c"]])
OTHER_NUMBERS = np.array([[1, 2], [3, np.nan], [5, 6.000001], [7, 8]], np.float32)


@pytest.mark.parametrize("rows", [some_rows(), some_rows(label=LISTS)], ids=["numbers", "lists"])
def test_it_does_not_depend_on_the_batches_in_which_rows_come(rows: RawBatch) -> None:
    whole = digest(rows)

    assert digest(cut(rows, 0, 1), cut(rows, 1, 4)) == digest(cut(rows, 0, 3), cut(rows, 3, 4)) == whole
    assert digest(rows.without([])) == whole


@pytest.mark.parametrize(
    "changed",
    [
        {"numbers": OTHER_NUMBERS},
        {"numbers": np.zeros((4, 2), np.float32)},
        {"texts": (pa.array(["red", "", "", "green"]), pa.array(["a", "b", "c", "d"]))},
        {"texts": (pa.array(["redg", None, "", "reen"]), pa.array(["a", "b", "c", "d"]))},
        {"label": pa.array([1.0, 0.0, 1.0, 0.0])},
        {"label": pa.array(["0", "1", "1", "0"])},
        {"label": LISTS},
        {"media": {"image": pa.array([b"\0", b"ab", b"c", b""], pa.binary())}},
        {"slices": {"shop": pa.array(["a", "b", "c", "d"])}},
        {"held_back": np.array([False, True, False, False])},
    ],
)
def test_whatever_is_changed_changes_it(changed: dict[str, Any]) -> None:
    assert digest(some_rows(**changed)) != digest(some_rows())


def test_lists_are_told_apart_by_where_they_end() -> None:
    assert digest(some_rows(label=LISTS)) != digest(some_rows(label=pa.array([["a"], ["b"], None, ["c"]])))
