"""Which operations an exported model may be made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tools.operations import FILE, allowed_operations
from trainyard_trainer.errors import BadInput
from trainyard_trainer.programs.operations import check_saved


def saved(folder: Path, serve: Callable[[Any], Any], **parts: Any) -> Path:
    """Save a model of one signature; `parts` are what else it holds."""
    module = tf.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


ANY = [tf.TensorShape([]), tf.TensorShape(None)]


def in_a_loop(x: Any) -> Any:
    def body(i: Any, total: Any) -> Any:
        return i + 1, total + tf.numpy_function(lambda each: each, [x], tf.float32)

    return tf.while_loop(lambda i, _: i < 3, body, [tf.constant(0), x], ANY)[1]


def in_a_function_of_a_function(x: Any) -> Any:
    @tf.function
    def inner(y: Any) -> Any:
        return y + tf.cast(tf.size(tf.io.matching_files("/etc/host*")), tf.float32)

    return tf.function(lambda y: inner(y) * 2)(x)


def from_a_data_set(x: Any) -> Any:
    return x + tf.data.TextLineDataset("/etc/hostname").reduce(0.0, lambda total, _: total + 1.0)


@pytest.mark.parametrize(
    ("serve", "operations"),
    [
        (in_a_loop, "PyFunc"),
        (in_a_function_of_a_function, "MatchingFiles"),
        (from_a_data_set, "FlatMapDataset, ReduceDataset, TensorSliceDataset, TextLineDataset"),
        (lambda x: tf.py_function(lambda each: each, [x], tf.float32), "EagerPyFunc"),
        (lambda x: x + tf.cast(tf.timestamp(), tf.float32), "Timestamp"),
    ],
)
def test_what_reaches_outside_of_the_graph_is_refused_by_name(
    serve: Callable[[Any], Any], operations: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=rf"^my model uses {operations}: a served model may compute from its inputs and"):
        check_saved(saved(tmp_path / "model", serve), "my model")


def test_what_no_signature_leads_to_does_not_count(tmp_path: Path) -> None:
    weight = tf.Variable(2.0)  # whose saving and restoring are in the graph
    read = tf.function(lambda: tf.io.read_file("/etc/hostname"), input_signature=[])

    check_saved(saved(tmp_path / "model", lambda x: x * weight, weight=weight, read=read), "my model")


def test_tables_in_memory_and_their_initialization_are_allowed(tmp_path: Path) -> None:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1, 2], [10.0, 20.0]), 0.0)

    check_saved(saved(tmp_path / "model", lambda x: table.lookup(tf.cast(x, tf.int32)), table=table), "my model")


def test_the_list_of_allowed_operations_is_that_of_this_tensorflow() -> None:
    assert FILE.read_text(encoding="utf-8").split() == allowed_operations(), "run `make operations`"
