"""What one pass over the data finds out, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainyard_api.program import Task
from trainyard_trainer.data.batch import EncodedBatch, concatenate
from trainyard_trainer.data.categories import FIRST
from trainyard_trainer.data.labels import ClassLabels, NumberLabels, Tally
from trainyard_trainer.data.parts import Part
from trainyard_trainer.data.pipeline import read
from trainyard_trainer.data.profile import Profile, profile
from trainyard_trainer.data.source import find
from trainyard_trainer.data.table import Table
from trainyard_trainer.data.tabular import CATEGORIES, NUMBERS, TableAnalyzer, TableStatistics
from trainyard_trainer.errors import BadInput


def look_at(
    columns: dict[str, Any],
    folder: Path,
    *,
    task: Task = "binaryClassification",
    fraction: float = 0.0,
    seed: int = 1,
    cache: int = 1 << 20,
    row_group: int = 50,
) -> tuple[Table, Profile]:
    pq.write_table(pa.table(columns), folder / "t.parquet", row_group_size=row_group)
    table = Table(find(str(folder / "t.parquet"), "auto"), label="label", features=None)
    return table, profile(table, task=task, fraction=fraction, seed=seed, cache_bytes=cache, watch=lambda rows: None)


def table_facts(facts: Profile) -> TableStatistics:
    assert isinstance(facts.features, TableStatistics)
    return facts.features


def test_numbers_are_summed_up_without_the_missing_ones(tmp_path: Path) -> None:
    _, facts = look_at(
        {"a": [1.0, None, 3.0, float("nan")], "b": [5, 5, 5, 5], "label": ["x", "y", "x", "y"]}, tmp_path
    )

    np.testing.assert_allclose(table_facts(facts).mean, [2, 5])
    np.testing.assert_allclose(table_facts(facts).deviation, [1, 1])  # a constant column must not be divided by zero
    assert table_facts(facts).missing.tolist() == [True, False]


def test_only_training_rows_count(tmp_path: Path) -> None:
    _, facts = look_at(
        {"a": np.arange(100.0), "t": [f"t{i}" for i in range(100)], "label": ["x", "y"] * 50}, tmp_path, fraction=0.3
    )
    training = np.arange(100.0)[~np.concatenate([facts.mask(0), facts.mask(1)])]

    assert (facts.training_rows, facts.validation_rows) == (70, 30)
    np.testing.assert_allclose(table_facts(facts).mean, [training.mean()])
    assert table_facts(facts).vocabularies == (tuple(sorted(f"t{int(i)}" for i in training)),)
    assert isinstance(facts.labels, ClassLabels)
    assert facts.labels.counts == (35, 35)


def test_rows_kept_in_memory_are_those_that_streaming_reads(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    columns = {
        "a": rng.normal(size=200),
        "t": rng.choice(np.array(["x", "y", "", None, "rare"], object), 200),
        "label": rng.choice(["no", "yes"], 200),
    }

    table, facts = look_at(columns, tmp_path, fraction=0.25)

    kept: list[tuple[Part, EncodedBatch | None]] = [
        ("training", facts.kept.training), ("validation", facts.kept.validation),
    ]  # fmt: skip
    for part, cached in kept:
        streamed = concatenate(
            [each for i, shard in enumerate(table.shards()) for each in read(table, facts, i, shard, part=part)]
        )
        assert cached is not None
        assert_same(cached, streamed)


def assert_same(one: EncodedBatch, other: EncodedBatch) -> None:
    for name in (NUMBERS, CATEGORIES):
        assert one.features[name].dtype == other.features[name].dtype
        np.testing.assert_array_equal(one.features[name], other.features[name])
    assert one.labels.dtype == other.labels.dtype
    np.testing.assert_array_equal(one.labels, other.labels)


def test_rows_that_do_not_fit_the_cache_are_not_kept(tmp_path: Path) -> None:
    _, facts = look_at({"a": range(1000), "label": [0, 1] * 500}, tmp_path, fraction=0.01, cache=1000)

    assert facts.kept.training is None
    assert facts.kept.validation is not None


def test_texts_have_slots_for_missing_and_unknown_ones(tmp_path: Path) -> None:
    _, facts = look_at({"t": ["b", "a", None, "", "b"], "label": [0, 1, 0, 1, 0]}, tmp_path)

    assert table_facts(facts).vocabularies == (("a", "b"),)
    assert facts.kept.training is not None
    assert facts.kept.training.features[CATEGORIES][:, 0].tolist() == [3, 2, 0, 0, 3]


@pytest.mark.parametrize(
    ("label", "names", "encoded"),
    [
        (["m", "b", "m"], ("b", "m"), [1, 0, 1]),
        ([0, 1, 0], ("0", "1"), [0, 1, 0]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([True, False, True], ("false", "true"), [1, 0, 1]),
        ([0.5, 1.0, 0.5], ("0.5", "1"), [0, 1, 0]),
    ],
)
def test_classes_are_sorted_by_number_or_by_text(
    label: list[Any], names: tuple[str, ...], encoded: list[int], tmp_path: Path
) -> None:
    _, facts = look_at({"a": [1, 2, 3], "label": label}, tmp_path)

    assert isinstance(facts.labels, ClassLabels)
    assert facts.labels.names == names
    assert facts.kept.training is not None
    assert facts.kept.training.labels.tolist() == encoded


def test_a_number_to_predict_is_summed_up(tmp_path: Path) -> None:
    _, facts = look_at({"a": [1, 2], "label": [10.0, 30.0]}, tmp_path, task="regression")

    assert facts.labels == NumberLabels(mean=20.0, deviation=10.0)


def test_the_digest_tells_other_data_and_another_split_apart(tmp_path: Path) -> None:
    columns = {"a": range(100), "label": [0, 1] * 50}
    one = look_at(columns, tmp_path, fraction=0.2)[1].digest

    assert look_at(columns, tmp_path, fraction=0.2)[1].digest == one
    assert look_at(columns, tmp_path, fraction=0.2, seed=2)[1].digest != one
    assert look_at(columns | {"a": range(1, 101)}, tmp_path, fraction=0.2)[1].digest != one


def test_sums_of_large_numbers_keep_their_digits() -> None:
    tally = Tally(1)
    values = 1e9 + np.random.default_rng(1).normal(size=(1000, 1))

    for part in np.array_split(values, 7):
        tally.add(part)

    np.testing.assert_allclose(tally.deviation, values.std(axis=0), rtol=1e-6)


BINARY: Task = "binaryClassification"
MULTI: Task = "multiclassClassification"
ROWS = 100
MIXED = [str(i) for i in range(90)] + ["unknown"] * 10


@pytest.mark.parametrize(
    ("columns", "task", "message"),
    [
        ({"a": [1, 2], "label": ["x", "x"]}, BINARY, "one class only ('x' in every row)"),
        ({"a": [1, 2, 3], "label": ["x", "y", "z"]}, BINARY, "use task multiclassClassification"),
        ({"a": range(ROWS), "label": range(ROWS)}, BINARY, "has 100 (0, 1, 2, 3, 4 and 95 more): use task regression"),
        ({"a": [1, 2], "label": ["x", "y"]}, "regression", "holds texts such as 'x'"),
        ({"a": [1, 2], "label": [5, 5]}, "regression", "is 5 in every row"),
        (
            {"a": [1, 2], "label": ["x", None]},
            BINARY,
            "row 2 of t.parquet: the label 'label' is missing; 1 of 2 rows have no label: fill it in, or leave",
        ),
        (
            {"a": [1, 2], "label": [1.0, float("inf")]},
            "regression",
            "row 2 of t.parquet: the label 'label' is inf, not",
        ),
        ({"a": [1.0, 2.0], "b": pa.nulls(2, pa.float64()), "label": [0, 1]}, BINARY, "column 'b' has no value"),
        ({"a": [1, 2], "b": ["", None], "label": [0, 1]}, BINARY, "column 'b' has no value"),
        ({"a": MIXED, "label": [0, 1] * 50}, BINARY, "90 of its 100 texts are numbers, but not 'unknown'"),
        ({"a": [f"id-{i}" for i in range(10_002)], "label": [0, 1] * 5001}, BINARY, "more than 10000 different texts"),
        ({"a": range(10_002), "label": [f"id-{i}" for i in range(10_002)]}, MULTI, "more than 10000 different values"),
        ({"a": [b"1", b"2"], "label": [0, 1]}, BINARY, "column 'a' holds bytes or arrays, and a table has numbers and"),
        ({"a": [1, 2], "label": [b"x", b"y"]}, BINARY, "the label 'label' holds bytes: expected texts or numbers"),
        ({"a": pa.array([], pa.int64()), "label": pa.array([], pa.int64())}, BINARY, "has a header but no rows"),
    ],
)
def test_data_one_cannot_learn_from_is_refused_with_what_to_do(
    columns: dict[str, Any], task: Task, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as raised:
        look_at(columns, tmp_path, task=task)

    assert message in str(raised.value), json.dumps(str(raised.value))


def test_hashed_texts_have_slots_without_a_vocabulary(tmp_path: Path) -> None:
    columns = {"id": [f"id-{i}" for i in range(20_000)], "a": range(20_000), "label": [0, 1] * 10_000}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = Table(find(str(tmp_path / "t.parquet"), "auto"), label="label", features=None)

    facts = profile(
        table,
        task=BINARY,
        fraction=0.0,
        seed=1,
        cache_bytes=1 << 30,
        watch=lambda rows: None,
        counter=TableAnalyzer(table.schema, {"id": 50}),
    )

    assert facts.kept.training is not None
    slots = facts.kept.training.features[CATEGORIES][:, 0]
    assert set(slots) == set(range(FIRST, FIRST + 50))
    (shard,) = table.shards()
    np.testing.assert_array_equal(
        np.concatenate([facts.encode(raw).features[CATEGORIES][:, 0] for raw in table.read(shard)]), slots
    )


def test_a_column_that_is_not_there_cannot_be_hashed(tmp_path: Path) -> None:
    pq.write_table(pa.table({"city": ["x"], "a": [1], "label": [0]}), tmp_path / "t.parquet")
    table = Table(find(str(tmp_path / "t.parquet"), "auto"), label="label", features=None)

    with pytest.raises(BadInput, match=r"data.hashing names 'citi', which is not .*; did you mean 'city'\?"):
        TableAnalyzer(table.schema, {"citi": 50})


def test_a_fraction_of_less_than_a_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"fraction 0.01 of 4 rows is less than a row"):
        look_at({"a": range(4), "label": [0, 1, 0, 1]}, tmp_path, fraction=0.01)
