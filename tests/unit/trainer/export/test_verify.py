"""The check of an exported model in a process of its own."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from trainyard_trainer.errors import ExportFailed
from trainyard_trainer.export.verify import Verifier, difference

PATH = Path("model")


def save_doubler(folder: Path) -> None:
    module = tf.Module()

    @tf.function(input_signature=[{"x": tf.TensorSpec([None], tf.float32, name="x")}])
    def double(columns: dict[str, Any]) -> dict[str, Any]:
        return {"value": columns["x"] * 2}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": double})


@pytest.mark.parametrize(
    ("expected", "complaint"),
    [
        ({"value": [2.0, 4.0]}, None),
        ({"value": [2.0, 4.1]}, "value differs by up to 0.1"),
        ({"other": [2.0, 4.0]}, r"it answers \['value'\], expected \['other'\]"),
    ],
)
def test_a_model_must_answer_as_expected(expected: dict[str, Any], complaint: str | None, tmp_path: Path) -> None:
    save_doubler(tmp_path / "model")

    with Verifier() as verifier:
        if complaint is None:
            assert verifier.check(tmp_path / "model", {"x": [1.0, 2.0]}, expected) > 1
        else:
            with pytest.raises(ExportFailed, match=complaint):
                verifier.check(tmp_path / "model", {"x": [1.0, 2.0]}, expected)


def test_bytes_are_sent_as_they_are(tmp_path: Path) -> None:
    module = tf.Module()

    @tf.function(input_signature=[{"x_bytes": tf.TensorSpec([None], tf.string, name="x_bytes")}])
    def measure(columns: dict[str, Any]) -> dict[str, Any]:
        return {"value": tf.strings.length(columns["x_bytes"])}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": measure})

    with Verifier() as verifier:
        assert verifier.check(tmp_path / "model", {"x_bytes": [b"\x00\xff", b""]}, {"value": [2, 0]}) > 1


def test_a_model_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    save_doubler(tmp_path / "model")
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"damaged")

    with Verifier() as verifier, pytest.raises(ExportFailed, match="cannot be loaded by TensorFlow alone"):
        verifier.check(tmp_path / "model", {"x": [1.0]}, {"value": [2.0]})


@pytest.mark.parametrize(
    ("answers", "expected", "complaint"),
    [
        ({"p": [0.5, 0.25]}, {"p": [0.500001, 0.25]}, None),
        ({"p": [0.5]}, {"p": [0.6]}, "p differs by up to 0.1"),
        ({"p": [float("nan")]}, {"p": [0.6]}, "p differs by up to nan"),
        ({"p": [[0.5, 0.5]]}, {"p": [[0.5, 0.5]]}, None),
        ({"p": [1.0]}, {"p": [1.0, 1.0]}, "p has 1 rows, expected 2"),
        ({"l": ["a", "b"]}, {"l": ["a", "a"]}, "l is the same in only 50% of the rows"),
        ({"l": ["b"]}, {"l": ["a"]}, "l is the same in only 0% of the rows"),
        ({"l": ["a"] * 20}, {"l": ["a"] * 19 + ["b"]}, None),
    ],
)
def test_what_differs_is_said(answers: dict[str, Any], expected: dict[str, Any], complaint: str | None) -> None:
    assert difference(answers, expected) == complaint


def test_leaving_ends_the_process() -> None:
    with Verifier() as verifier:
        process = verifier._process

    assert process.returncode is not None
