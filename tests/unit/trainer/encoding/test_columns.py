"""Columns of tables in the graph: a client's row means what the same row means in training."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from support.prepared import Looked, look
from support.trainer_runs import a_spec, run
from trainyard_trainer.data import moments
from trainyard_trainer.data.tabular import CATEGORIES, NUMBERS, TableStatistics
from trainyard_trainer.encoding import moments as in_graph
from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableEncoder

DATES = [
    "2026-01-31", "2026/2/3", "1999.12.31", "31.12.2026", "2000-02-29T12:30:15", "2000-02-29 23:59",
    "2026-01-31T00:00:00Z", "1900-03-01", "2026-01-31T08:15:00.250", "", "yesterday", "2026-13-01", "2026-00-01",
    "01/02/2026", " 2026-01-31 ", "2026-01-31T23:30:00-01:00", "31.12.2026 00:15+0130", "2026-01-31+01:00",
]  # fmt: skip


def test_the_graph_makes_the_same_numbers_of_dates() -> None:
    texts = pa.array([text.strip() for text in DATES], pa.string())

    numbers, odd = moments.numbers(texts)

    np.testing.assert_allclose(in_graph.numbers(tf.constant(DATES)), numbers, rtol=1e-6, atol=1e-6)
    assert [DATES[row] for row in odd] == [
        "yesterday", "2026-13-01", "2026-00-01", "01/02/2026", "2026-01-31+01:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "in_utc"),
    [
        pytest.param("2024-01-05T10:00:00+02:00", "2024-01-05T08:00:00Z", id="ISO 8601"),
        pytest.param("2024-01-01 00:30:00+01", "2023-12-31T23:30", id="Postgres, the year before"),
        pytest.param("2024-02-28 23:30:00 -0130", "2024-02-29T01:00", id="Git, a leap day"),
        pytest.param("1999-12-31T20:00-05:00", "2000-01-01T01:00", id="the next century"),
        pytest.param("5.1.2024 10:00+02:00", "2024-01-05 08:00", id="day first"),
    ],
)
def test_a_time_with_an_offset_is_taken_in_utc(written: str, in_utc: str) -> None:
    numbers, odd = moments.numbers(pa.array([written, in_utc]))

    assert not odd
    np.testing.assert_array_equal(numbers[0], numbers[1])


@pytest.mark.parametrize("moment", [datetime.datetime(2026, 7, 3, 18, 45), datetime.datetime(1969, 12, 31, 6, 0)])
def test_a_date_says_how_long_ago_it_was_and_where_in_year_week_and_day(moment: datetime.datetime) -> None:
    ((elapsed, year, *waves),) = moments.numbers(pa.array([moment.isoformat()]))[0].astype(float)

    assert elapsed == pytest.approx((moment - datetime.datetime(1970, 1, 1)).total_seconds() / 86400, rel=1e-6)
    assert year == moment.year
    turn = 2 * np.pi * np.array([moment.isoweekday() % 7 / 7, (moment.hour + moment.minute / 60) / 24])
    np.testing.assert_allclose(waves[2:], [f(t) for t in turn for f in (np.sin, np.cos)], atol=1e-6)


REVIEWS = ["a fine film", "a bad film", "fine, fine actors", "bad plot and bad actors"] * 15
DAYS = [f"2026-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(60)]
COLUMNS = {"review": "text", "when": "date", "zip": "category", "size": "number"}


def a_table(folder: Path) -> Path:
    rows = [
        f'{REVIEWS[i]!r},{DAYS[i]},0{i % 3}501,"{i % 7},5",{"yes" if "fine" in REVIEWS[i] else "no"}' for i in range(60)
    ]
    path = folder / "t.csv"
    path.write_text("\n".join(["review,when,zip,size,label", *rows]).replace("'", '"'))
    return path


def sent_and_trained_on(looked: Looked) -> tuple[dict[str, Any], dict[str, Any]]:
    table, facts = looked.prepared.table, looked.prepared.profile.features
    assert isinstance(facts, TableStatistics)
    encoder = TableEncoder(facts)
    raw = next(raw for shard in table.shards() for raw in table.read(shard))
    sent, features = encoder.samples(raw)
    specs = encoder.signature()
    client = encoder.from_client({name: tf.constant(values, specs[name].dtype) for name, values in sent.items()})
    return client, encoder.encode(features)


def test_declared_columns_are_served_as_they_are_trained_on(tmp_path: Path) -> None:
    looked = look(a_table(tmp_path), columns=COLUMNS)

    client, trained = sent_and_trained_on(looked)

    assert looked.columns == {"review": "text", "when": "date", "zip": "category", "size": "number"}
    np.testing.assert_allclose(client[DENSE], trained[DENSE], atol=1e-5)
    np.testing.assert_array_equal(client[SLOTS], trained[SLOTS])
    assert client[DENSE].shape[1] >= 8 + 1 + 6


def test_rows_in_memory_and_read_anew_have_the_same_words(tmp_path: Path) -> None:
    looked = look(a_table(tmp_path), columns=COLUMNS, validation={"fraction": 0})
    profile, table = looked.prepared.profile, looked.prepared.table

    (raw,) = [raw for shard in table.shards() for raw in table.read(shard)]
    again, kept = profile.encode(raw).features, profile.kept.training
    assert kept is not None
    for name in (NUMBERS, CATEGORIES):
        np.testing.assert_array_equal(kept.features[name], again[name])


@pytest.mark.parametrize("text", ["", " ", "NA", "null"])
def test_what_is_missing_in_the_file_is_missing_in_a_request(text: str, tmp_path: Path) -> None:
    rows = [f"{i % 7}.5,{['red', 'NA', 'blue'][i % 3]},{i % 2}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,colour,label", *rows]))
    statistics = look(tmp_path / "t.csv").prepared.profile.features
    assert isinstance(statistics, TableStatistics)
    encoder = TableEncoder(statistics)

    slots = encoder.from_client({"a": tf.constant([1.5, 1.5]), "colour": tf.constant([text, " red "])})[SLOTS]

    assert slots.numpy().tolist() == [[0], [3]]


def test_dates_of_parquet_are_features_where_the_spec_says_so(tmp_path: Path) -> None:
    start = datetime.datetime(2026, 1, 1, 5, 30)
    whens = [start + datetime.timedelta(hours=7 * i) for i in range(60)]
    labels = ["night" if when.hour < 12 else "day" for when in whens]
    pq.write_table(pa.table({"when": whens, "a": [0.5] * 30 + [1.5] * 30, "label": labels}), tmp_path / "t.parquet")

    client, trained = sent_and_trained_on(look(tmp_path / "t.parquet", columns={"when": "date"}))

    np.testing.assert_allclose(client[DENSE], trained[DENSE], atol=1e-5)


def test_a_model_with_words_and_dates_is_exported_and_answers_alike(tmp_path: Path) -> None:
    spec = a_spec(a_table(tmp_path)).with_data(columns=COLUMNS).with_fit(epochs=30)

    done = run(spec, tmp_path)

    assert done.code == 0
    assert done.report["metrics"]["val_accuracy"] > 0.9
