"""Rows, files and answers of a model."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from trainyard.errors import Refused, Unreachable, Usage
from trainyard.predictions import Input, Signature, answers_in, body_of, example_of, instances_of, rows_of, signature_of


def a_signature(**inputs: str) -> Signature:
    return Signature("churn", 1, tuple(Input(name, dtype, (-1,)) for name, dtype in inputs.items()), ("value",))


TABLE = a_signature(age="DT_FLOAT", plan="DT_STRING")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        pytest.param("42", 42.0, id="a text of a number"),
        pytest.param(True, 1, id="a truth"),
        pytest.param("false", 0, id="a text of a truth"),
        pytest.param(7, 7, id="a number"),
    ],
)
def test_numbers_are_sent_as_numbers(value: Any, sent: Any) -> None:
    assert instances_of([{"age": value}], TABLE) == [{"age": sent, "plan": ""}]


@pytest.mark.parametrize(
    "value", [pytest.param("NA", id="text"), pytest.param(None, id="null"), pytest.param(math.nan, id="nan")]
)
def test_what_is_missing_is_sent_as_the_trainer_saw_it(value: Any) -> None:
    (instance,) = instances_of([{"age": value, "plan": value}], TABLE)

    assert math.isnan(instance["age"])
    assert instance["plan"] == ""
    assert b"NaN" in body_of([instance])


def test_vectors_and_texts_of_numbers_keep_their_form() -> None:
    signature = Signature("m", 1, (Input("v", "DT_FLOAT", (-1, 3)), Input("t", "DT_STRING", (-1,))), ())

    assert instances_of([{"v": [1, 2, 3], "t": 5.0}], signature) == [{"v": [1, 2, 3], "t": "5"}]
    assert example_of(signature) == {"v": [0.0, 0.0, 0.0], "t": ""}


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        pytest.param(
            "rows.csv", "age,plan\n1,a\n2,b\n", [{"age": "1", "plan": "a"}, {"age": "2", "plan": "b"}], id="CSV"
        ),
        pytest.param("rows.csv", "age;plan\n1;a\n", [{"age": "1", "plan": "a"}], id="CSV with semicolons"),
        pytest.param("row.json", '{"age": 1}', [{"age": 1}], id="one row of JSON"),
        pytest.param("rows.json", '[{"age": 1}, {"age": 2}]', [{"age": 1}, {"age": 2}], id="a list of JSON"),
        pytest.param("rows.json", '{"instances": [{"age": 1}]}', [{"age": 1}], id="a request as curl sends it"),
        pytest.param("rows.jsonl", '{"age": 1}\n{"age": 2}\n', [{"age": 1}, {"age": 2}], id="JSON lines"),
    ],
)
def test_rows_are_read_from_files(tmp_path: Path, name: str, content: str, rows: list[dict[str, Any]]) -> None:
    (tmp_path / name).write_text(content)

    assert rows_of(str(tmp_path / name), TABLE) == rows


def test_a_row_may_be_given_as_json() -> None:
    assert rows_of(' {"age": 42}', TABLE) == [{"age": 42}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("{'age': 42}", "names and texts need double quotes", id="Python's quotes"),
        pytest.param("[1, 2]", "expected a row such as", id="bare numbers"),
        pytest.param("age=42", "is no file, and no JSON", id="neither"),
    ],
)
def test_what_is_no_row_is_refused(given: str, said: str) -> None:
    with pytest.raises(Usage, match=said):
        rows_of(given, TABLE)


@pytest.mark.parametrize("name", [pytest.param("leaf.PNG", id="an image"), pytest.param("bark.wav", id="a sound")])
def test_a_file_of_bytes_goes_to_the_input_that_takes_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\x01")
    signature = a_signature(image_bytes="DT_STRING")

    rows = rows_of(str(tmp_path / name), signature)

    assert instances_of(rows, signature) == [{"image_bytes": {"b64": "AAE="}}]


def test_a_model_of_tables_takes_no_image(tmp_path: Path) -> None:
    (tmp_path / "leaf.png").write_bytes(b"x")

    with pytest.raises(Usage, match=r"model churn does not take a file such as leaf\.png: it takes age, plan"):
        rows_of(str(tmp_path / "leaf.png"), TABLE)


def test_a_text_file_is_the_one_text_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "review.txt").write_text("rather good")

    assert rows_of(str(tmp_path / "review.txt"), a_signature(text="DT_STRING")) == [{"text": "rather good"}]


def test_the_signature_is_read_from_the_metadata() -> None:
    tensor = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}, {"size": "3"}]}}
    signature = {"serving_default": {"inputs": {"v": tensor}, "outputs": {"value": {}}}}
    metadata = {"model_spec": {"version": "7"}, "metadata": {"signature_def": {"signature_def": signature}}}

    assert signature_of("m", metadata) == Signature("m", 7, (Input("v", "DT_FLOAT", (-1, 3)),), ("value",))
    with pytest.raises(Refused, match="has no signature serving_default"):
        signature_of("m", {})


def test_an_answer_of_one_output_has_its_name() -> None:
    assert answers_in(200, json.dumps({"predictions": [1.5, 2.5]}).encode(), TABLE) == [{"value": 1.5}, {"value": 2.5}]


def test_an_answer_that_is_not_the_models_is_no_refusal() -> None:
    with pytest.raises(Unreachable, match="expected JSON, got 502"):
        answers_in(502, b"<html>bad gateway</html>", TABLE)
