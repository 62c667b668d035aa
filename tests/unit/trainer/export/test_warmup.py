"""The warm-up requests, read with the official messages."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from trainyard_trainer.export.warmup import FILE, write_warmup

SPECS = {"size": tf.TensorSpec([None], tf.float32), "colour": tf.TensorSpec([None], tf.string)}


def requests(folder: Path) -> list[Any]:
    records = list(tf.compat.v1.io.tf_record_iterator(str(folder / FILE)))
    return [PredictionLog.FromString(record).predict_log.request for record in records]


@pytest.mark.parametrize(("rows", "batches"), [(3, [1, 1, 3, 3]), (1, [1, 1])])
def test_each_signature_is_asked_for_one_row_and_for_all(rows: int, batches: list[int], tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"size": [0.5, 1.5, 2.5][:rows], "colour": ["red", "", "blue"][:rows]}

    written = write_warmup(tmp_path, model_name="churn", specs=SPECS, rows=columns)

    found = requests(tmp_path)
    assert written == len(found)
    assert {each.model_spec.name for each in found} == {"churn"}
    assert [each.model_spec.signature_name for each in found] == ["serving_default", "serving_examples"] * (
        len(batches) // 2
    )
    assert [next(iter(each.inputs.values())).tensor_shape.dim[0].size for each in found] == batches
    assert tf.make_ndarray(found[-2].inputs["size"]).tolist() == columns["size"]
    assert tf.make_ndarray(found[-2].inputs["colour"]).tolist() == [each.encode() for each in columns["colour"]]
    message = tf.train.Example.FromString(tf.make_ndarray(found[-1].inputs["examples"])[0])
    assert message.features.feature["colour"].bytes_list.value == [b"red"]


def test_large_rows_are_asked_for_one_by_one(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"size": [0.0, 1.0, 2.0], "colour": ["x" * 400_000] * 3}

    assert write_warmup(tmp_path, model_name="churn", specs=SPECS, rows=columns) == 2
