"""History and TensorBoard logs of trainings whose pods and disks are lost, and of those that go wrong."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import tensorflow as tf

from support.stores import S3
from support.trainer_runs import SpecBuilder, a_spec, run, stop_at_checkpoint, write_table
from trainyard_api import names

pytestmark = pytest.mark.thorough

LOGS = "models/sample/.training/uid-of-sample/logs"


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> str:
    return s3.bucket(f"l{abs(hash(request.node.name))}")


def a_job(folder: Path, bucket: str) -> SpecBuilder:
    return a_spec(write_table(folder / "table.csv")).with_store(f"s3://{bucket}/models")


def epochs(s3: S3, bucket: str) -> list[int]:
    """Return the epochs in the stored history."""
    rows = csv.DictReader(io.StringIO(s3.get(bucket, f"{LOGS}/history.csv").decode()))
    return [int(row["epoch"]) for row in rows]


def drawn(s3: S3, bucket: str, folder: Path) -> list[int]:
    """Return the epochs in the stored TensorBoard log."""
    (folder / "events").write_bytes(s3.get(bucket, f"{LOGS}/train/events.out.tfevents.trainyard"))
    records = tf.data.TFRecordDataset(str(folder / "events"))
    events = [tf.compat.v1.Event.FromString(each.numpy()) for each in records]
    return [event.step for event in events if event.summary.value]


def of_logs(number: int, request: Mapping[str, Any]) -> bool:
    return "/logs" in unquote(f"{request['PATH_INFO']}?{request['QUERY_STRING']}")


def test_a_training_that_goes_on_in_another_pod_has_the_history_of_all_epochs(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    job = a_job(tmp_path, bucket).with_fit(epochs=400).with_checkpoint(everySteps=120)
    with stop_at_checkpoint(tmp_path):
        assert run(job, tmp_path, s3.env).code == names.EXIT_STOPPED
    before = epochs(s3, bucket)
    (tmp_path / "other-node").mkdir()

    again = run(job, tmp_path / "other-node", s3.env)

    assert again.code == 0, again.stderr
    measured = (again.the("resumed")["step"] - 1) // 12  # the last epoch may have been trained, but not measured
    assert 0 < measured < 400
    assert before[:measured] == list(range(1, measured + 1))
    assert epochs(s3, bucket) == list(range(1, 401))
    points = drawn(s3, bucket, tmp_path)
    assert points == sorted(set(points))
    assert points[0] <= measured < points[-1] == 400


def test_logs_are_in_the_store_as_soon_as_a_checkpoint_is(s3: S3, bucket: str, tmp_path: Path) -> None:
    with s3.failing(lambda number, request: False):
        run(a_job(tmp_path, bucket).with_checkpoint(everySteps=12), tmp_path, s3.env)
        written = [path for method, path in s3.requests if method == "PUT"]

    first = [
        next(place for place, path in enumerate(written) if part in path)
        for part in ("/checkpoints/step-", "/logs/history.csv", "/sample/1/")
    ]
    assert first == sorted(first)


def test_a_training_that_diverged_leaves_the_history_until_then(s3: S3, bucket: str, tmp_path: Path) -> None:
    data = tmp_path / "numbers.csv"
    data.write_text("x,label\n" + "".join(f"{i % 17},{i % 5}\n" for i in range(96)))
    job = a_spec(data).with_program(keras={"family": "linear", "task": "regression"})
    job = job.with_store(f"s3://{bucket}/models")

    result = run(job.with_fit(epochs=200, optimizer={"name": "sgd", "learningRate": 1.5}), tmp_path, s3.env)

    assert (result.code, result.report["reason"]) == (names.EXIT_DIVERGED, "Diverged"), result.report
    assert epochs(s3, bucket) == list(range(1, result.report["epochs"] + 1))
    assert result.report["epochs"] > 0


def test_logs_that_cannot_be_stored_or_fetched_are_told_of_and_change_nothing_else(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    env = s3.env | {"AWS_MAX_ATTEMPTS": "1"}

    with s3.failing(of_logs):
        result = run(a_job(tmp_path, bucket), tmp_path, env)

    assert (result.code, result.report["model"]["version"]) == (0, 1), result.stderr
    said = {each["event"]: each["message"] for each in result.events}
    assert "the logs so far are not in the store: s3://" in said["logs-not-kept"]
    assert "the logs begin anew: s3://" in said["logs-not-fetched"]
    assert env["AWS_SECRET_ACCESS_KEY"] not in json.dumps(result.events)
    assert not any("/logs/" in key for key in s3.keys(bucket))


def test_an_exit_code_stays_what_it_was_where_the_logs_cannot_be_stored(s3: S3, bucket: str, tmp_path: Path) -> None:
    job = a_job(tmp_path, bucket).with_fit(epochs=400).with_checkpoint(everySteps=120)

    with s3.failing(of_logs), stop_at_checkpoint(tmp_path):
        result = run(job, tmp_path, s3.env | {"AWS_MAX_ATTEMPTS": "1"})

    assert result.code == names.EXIT_STOPPED
    assert [each for each in result.events if each["event"] == "logs-not-kept"]
