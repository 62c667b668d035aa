"""What our trainer says is what the operator understands: the two are released apart and meet only on the wire."""

import json

import pytest

from support.training import DIGEST, a_training_job
from trainyard_api.trainingjob import PredictionsStatus, TrainingJob, TrainingJobStatus
from trainyard_operator.training.progress import parse as parse_progress
from trainyard_operator.training.spec import parse
from trainyard_operator.training.termination_message import Report, model_status, read, result_of
from trainyard_trainer.reporting.progress_server import SavedCheckpoint, TrainingProgress
from trainyard_trainer.reporting.result import ModelVersion, PredictedFiles, termination_message

PROGRESS = TrainingProgress(
    phase="training",
    epoch=3,
    epochs=10,
    step=30,
    steps=100,
    loss=0.25,
    metrics={"val_loss": 0.5},
    samples_per_second=1000.0,
    eta_seconds=70.0,
    last_step_time=1700000000.0,
    last_checkpoint=SavedCheckpoint(step=20, path="ckpt-20", time="2026-11-23T10:00:00Z"),
)


def test_progress_is_understood() -> None:
    snapshot = parse_progress(json.dumps(PROGRESS.to_wire()).encode())

    assert snapshot is not None
    status = snapshot.to_status()
    assert (status.summary, status.percent, status.loss, status.eta) == ("3/10", 30, "0.25", "1m10s")
    checkpoint = snapshot.checkpoint()
    assert checkpoint is not None
    assert checkpoint.step == 20


def test_progress_of_a_trainer_that_has_just_begun_is_understood() -> None:
    snapshot = parse_progress(json.dumps(TrainingProgress().to_wire()).encode())

    assert snapshot is not None
    assert snapshot.phase == "starting"


def test_the_result_is_understood() -> None:
    model = ModelVersion(name="churn", version=7, digest=DIGEST, size_bytes=1234)

    report = read(termination_message("MaxEpochs", "done", PROGRESS, model))

    assert isinstance(report, Report)
    job = parse(a_training_job().build(), TrainingJobStatus())
    assert isinstance(job, TrainingJob)
    status = model_status(job, report)
    assert not isinstance(status, str)
    assert (status.uri, status.digest, status.metrics) == ("pvc://models/churn/7", DIGEST, {"val_loss": "0.5"})


@pytest.mark.parametrize(
    ("store", "uri"),
    [
        ("s3://models", "s3://models/churn/7"),
        ("abfss://box@account.dfs.core.windows.net/a/", "abfss://box@account.dfs.core.windows.net/a/churn/7"),
    ],
)
def test_the_result_in_a_store_is_where_the_store_is(store: str, uri: str) -> None:
    model = ModelVersion(name="churn", version=7, digest=DIGEST, size_bytes=1234)
    report = read(termination_message("MaxEpochs", "done", PROGRESS, model))
    job = parse(a_training_job().with_spec(output={"store": {"uri": store}}).build(), TrainingJobStatus())
    assert isinstance(report, Report)
    assert isinstance(job, TrainingJob)

    status = model_status(job, report)

    assert not isinstance(status, str)
    assert status.uri == uri


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(
            "churn/predictions/uid-1",
            PredictionsStatus(
                rows=98, bad_rows=2, files=3, uri="pvc://models/churn/predictions/uid-1", model="trained/4"
            ),
            id="where they belong",
        ),
        pytest.param(
            "other/predictions/uid-1",
            "it wrote predictions at 'other/predictions/uid-1'; expected a folder in 'churn/predictions/'",
            id="elsewhere",
        ),
        pytest.param(
            "churn/predictions/../3",
            "it wrote predictions at 'churn/predictions/../3'; expected a folder in 'churn/predictions/'",
            id="beside",
        ),
    ],
)
def test_predictions_are_understood(path: str, expected: PredictionsStatus | str) -> None:
    made = PredictedFiles(rows=98, bad_rows=2, files=3, path=path, model="trained/4")

    report = read(termination_message("Predicted", "done", PROGRESS, predictions=made))

    program = {"predict": {"model": {"name": "trained"}}}
    job = parse(a_training_job().with_spec(program=program).build(), TrainingJobStatus())
    assert isinstance(report, Report)
    assert isinstance(job, TrainingJob)
    assert result_of(job, report) == expected


def test_a_failure_with_an_endless_message_is_understood() -> None:
    report = read(termination_message("BadInput", "x" * 100_000, PROGRESS))

    assert isinstance(report, Report)
    assert report.reason == "BadInput"
