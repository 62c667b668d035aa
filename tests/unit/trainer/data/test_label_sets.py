"""Rows with any number of labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.tables import open_table, write_records
from trainyard_trainer.data.batch import concatenate
from trainyard_trainer.data.label_sets import LabelSets
from trainyard_trainer.data.pipeline import read
from trainyard_trainer.data.profile import Profile, profile
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.table import Table
from trainyard_trainer.errors import BadInput

LISTS = [["red", "round"], [], ["round"], ["blue", "round", "blue"], None, ["red"]]
EXPECTED = [[0, 1, 1], [0, 0, 0], [0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 1, 0]]


def look_at(path: Path, *, fraction: float = 0.0, cache: int = 1 << 20) -> tuple[Table, Profile]:
    table = open_table(path, reading=Reading(label_separator="|"))
    facts = profile(
        table,
        task="multilabelClassification",
        fraction=fraction,
        seed=1,
        cache_bytes=cache,
        watch=lambda rows: None,
    )
    return table, facts


def as_lists(folder: Path, lists: list[Any]) -> Path:
    pq.write_table(
        pa.table({"a": range(len(lists)), "label": pa.array(lists, pa.list_(pa.string()))}), folder / "t.parquet"
    )
    return folder / "t.parquet"


def as_texts(folder: Path, lists: list[Any]) -> Path:
    rows = "".join(f"{i},{' | '.join(each or [])}\n" for i, each in enumerate(lists))
    (folder / "t.csv").write_text(f"a,label\n{rows}")
    return folder / "t.csv"


def as_records(folder: Path, lists: list[Any]) -> Path:
    records = [{"a": i} | ({"label": each} if each else {}) for i, each in enumerate(lists)]
    return write_records(folder / "t.tfrecord", records)


@pytest.mark.parametrize("write", [as_lists, as_texts, as_records])
def test_lists_of_labels_and_texts_with_separators_are_the_same(write: Any, tmp_path: Path) -> None:
    table, facts = look_at(write(tmp_path, LISTS))

    assert facts.labels == LabelSets(("blue", "red", "round"), (1, 2, 3))
    assert facts.kept.training is not None
    np.testing.assert_array_equal(facts.kept.training.labels, EXPECTED)
    streamed = [
        each for i, shard in enumerate(table.shards()) for each in read(table, facts, i, shard, part="training")
    ]
    np.testing.assert_array_equal(concatenate(streamed).labels, EXPECTED)


def test_every_label_is_held_back_in_its_share_and_never_as_a_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    names = [f"label {i}" for i in range(12)]
    shares = np.geomspace(0.5, 0.01, 12)
    lists = [[name for name, share in zip(names, shares, strict=True) if rng.random() < share] for _ in range(3000)]

    _, facts = look_at(as_lists(tmp_path, [*lists, ["only once", "label 0"]]), fraction=0.2)

    assert isinstance(facts.labels, LabelSets)
    assert abs(facts.validation_rows - 600) < 20
    trained = dict(zip(facts.labels.names, facts.labels.counts, strict=True))
    assert trained["only once"] == 1
    for name in names:
        assert 0.7 < trained[name] / sum(name in each for each in lists) < 0.9


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[], []], "no row has a label in column 'label'"),
        ([[f"id {i}"] for i in range(1025)], "more than 1024 different labels"),
    ],
)
def test_labels_one_cannot_learn_are_refused(lists: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        look_at(as_lists(tmp_path, lists))


def test_numbers_are_no_labels(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,label\n1,2\n")

    with pytest.raises(BadInput, match="task multilabelClassification expects a list of texts"):
        look_at(tmp_path / "t.csv")


def test_a_list_of_labels_is_for_the_task_that_takes_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds a list of texts in each row: use task multilabelClassification"):
        open_table(as_lists(tmp_path, LISTS))
