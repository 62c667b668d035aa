"""Two workers that are asked to stop while they validate, of which one has more rows to read than the other."""

import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.trainer_pairs import two_workers
from support.trainer_runs import a_spec
from trainyard_api import names

pytestmark = pytest.mark.thorough

STEPS = 20
SLOW_TO_VALIDATE = """
import json

import keras
import tensorflow as tf


class Slow(keras.layers.Layer):
    def call(self, rows, training=False):
        if training:
            return rows
        print(json.dumps({"event": "validating"}), flush=True)  # when the graph is made, which is then run at once
        square = tf.fill((512, 512), 1 / 512)
        _, square = tf.while_loop(lambda i, x: i < 50, lambda i, x: (i + 1, tf.matmul(x, x)), (0, square))
        return rows + tf.minimum(tf.reduce_sum(square), 0.0)


def build(data):
    inputs = data.keras_inputs()
    return keras.Model(inputs, keras.layers.Dense(1)(Slow()(inputs["dense_features"])))
"""


def test_stopped_while_validating_both_leave_before_the_next_epoch(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    data, code = tmp_path / "data", tmp_path / "code"
    for each in (data, code):
        each.mkdir()
    (code / "slow.py").write_text(SLOW_TO_VALIDATE)
    for part in range(5):  # of which the chief has three
        columns = {"a": rng.normal(size=20_000), "label": rng.integers(0, 2, 20_000)}
        pq.write_table(pa.table(columns), data / f"part-{part}.parquet")
    program = {"entryPoint": "slow:build", "task": "binaryClassification", "source": {"configMap": {"name": "code"}}}
    spec = (
        a_spec(data)
        .with_program(python=program)
        .with_data(validation={"fraction": 0.9})
        .with_fit(epochs=2, batchSize=512, stopWhen={"steps": 2 * STEPS})
    )

    with two_workers(spec, tmp_path, {names.CODE_DIR_ENV: str(code), "TRAINYARD_CACHE_BYTES": "1000"}) as pair:
        for event in ("settings", "validating"):  # in that order: a model is tried when it is built
            pair.wait_for(1, event)
        pair.processes[1].send_signal(signal.SIGTERM)
        assert pair.codes() == [names.EXIT_STOPPED] * 2

        for worker in (0, 1):
            assert pair.report(worker)["reason"] == "Stopped"
            assert "in epoch 1 after a checkpoint at step" in pair.report(worker)["message"]
            assert pair.report(worker)["steps"] == pair.report(0)["lastCheckpoint"]["step"]
