"""A whole training whose data comes from S3 and whose model goes there."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from support.stores import S3, every_third
from support.trainer_runs import SpecBuilder, a_spec, run, start, write_table
from trainyard_api import names

pytestmark = pytest.mark.thorough

MODELS = "s3://lab/models"


@pytest.fixture(scope="module")
def data(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> str:
    s3.bucket("lab")
    s3.put("lab", "data/table.csv", write_table(tmp_path_factory.mktemp("data") / "table.csv").read_bytes())
    return "s3://lab/data/"


def a_job(data: str, name: str) -> SpecBuilder:
    return a_spec(data, label="label").named(name).with_store(MODELS)  # type: ignore[arg-type]


def keys(s3: S3, model: str) -> list[str]:
    return [key.removeprefix(f"models/{model}/") for key in s3.keys("lab") if key.startswith(f"models/{model}/")]


def test_a_model_is_trained_from_a_store_into_a_store_that_fails_every_third_request(
    s3: S3, data: str, tmp_path: Path
) -> None:
    with s3.failing(every_third):
        result = run(a_job(data, "flaky"), tmp_path, s3.env)

    assert result.code == 0, result.stderr
    assert result.report["model"]["path"] == "flaky/1"
    manifest = json.loads(s3.get("lab", "models/flaky/1/trainyard.json"))
    assert {f"1/{each['path']}" for each in manifest["files"]} | {"1/trainyard.json"} == {
        key for key in keys(s3, "flaky") if key.startswith("1/")
    }
    assert manifest["data"]["location"] == data
    assert manifest["metrics"]["val_accuracy"] > 0.7
    assert ".training/uid-of-flaky/logs/history.csv" in keys(s3, "flaky")
    assert not any("checkpoints" in key or ".claim" in key for key in keys(s3, "flaky"))
    assert not (tmp_path / "store" / "flaky" / ".staging-uid-of-flaky").exists()


def test_the_same_training_reports_the_version_it_made_even_on_another_node(s3: S3, data: str, tmp_path: Path) -> None:
    first = run(a_job(data, "again"), tmp_path, s3.env)
    (tmp_path / "other-node").mkdir()

    second = run(a_job(data, "again"), tmp_path / "other-node", s3.env)

    assert (first.code, second.code) == (0, 0)
    assert second.report["model"] == first.report["model"]
    assert "remove s3://lab/models/again/1" in second.report["message"]


def test_a_trainer_killed_while_it_uploads_leaves_nothing_complete_and_goes_on_elsewhere(
    s3: S3, data: str, tmp_path: Path
) -> None:
    job = a_job(data, "killed").with_checkpoint(everySteps=10)
    process: Any = None

    def kill_at_the_second_file(number: int, request: Any) -> bool:
        files = {path for method, path in s3.requests if method == "PUT" and "/killed/1/" in path}
        if len(files) >= 3 and process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        return len(files) >= 3

    with s3.failing(kill_at_the_second_file):
        process = start(job, tmp_path, s3.env)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    assert "1/.claim-uid-of-killed" in keys(s3, "killed")
    assert "1/trainyard.json" not in keys(s3, "killed")
    assert any("checkpoints/step-" in key for key in keys(s3, "killed"))

    (tmp_path / "other-node").mkdir()
    result = run(job, tmp_path / "other-node", s3.env)

    assert result.code == 0, result.stderr
    assert result.the("resumed")["step"] == 36
    assert not any(".claim" in key or "checkpoints" in key for key in keys(s3, "killed"))
    number = result.report["model"]["version"]
    manifest = json.loads(s3.get("lab", f"models/killed/{number}/trainyard.json"))
    assert len([key for key in keys(s3, "killed") if key.startswith(f"{number}/")]) == len(manifest["files"]) + 1


@pytest.mark.parametrize(
    ("env", "code", "reason", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": ""}, names.EXIT_BAD_INPUT, "BadInput", "AWS_SECRET_ACCESS_KEY is missing"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, 1, "StoreUnavailable", "check the host"),
    ],
)
def test_a_store_that_cannot_be_used_is_told_before_anything_is_read(
    env: dict[str, str], code: int, reason: str, words: str, s3: S3, data: str, tmp_path: Path
) -> None:
    result = run(a_job(data, "wrong"), tmp_path, s3.env | env)

    assert (result.code, result.report["reason"]) == (code, reason)
    assert words in result.report["message"]
    assert s3.env["AWS_SECRET_ACCESS_KEY"] not in result.stderr + json.dumps(result.events)
    assert "Traceback" not in result.stderr


def test_a_missing_bucket_for_models_is_told_before_the_training(s3: S3, data: str, tmp_path: Path) -> None:
    result = run(a_spec(Path("x")).with_data(source={"uri": data}).with_store("s3://nowhere/m"), tmp_path, s3.env)

    assert result.code == names.EXIT_BAD_INPUT
    assert "cannot use s3://nowhere/m/sample" in result.report["message"]
    assert "there is no such bucket" in result.report["message"]
    assert not any(each["event"] == "data" for each in result.events)
