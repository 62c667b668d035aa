"""The init container of a server whose model is in a store that is no volume."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.stores import S3, every_third
from trainyard_api import names
from trainyard_trainer.fetch import main
from trainyard_trainer.files import list_files
from trainyard_trainer.reporting.result import ModelVersion
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.object_versions import StoredVersions
from trainyard_trainer.stores.objects import ObjectStore


@pytest.fixture
def version(s3: S3, tmp_path: Path) -> ModelVersion:
    """Publish a version as the trainer does."""
    s3.client.create_bucket(Bucket="prod")
    staging = tmp_path / "staging"
    (staging / "variables").mkdir(parents=True)
    (staging / "saved_model.pb").write_text("graph")
    (staging / "variables" / "data").write_bytes(bytes(3_000_000))
    manifest = {"name": "churn", "trainingJob": {"uid": "a"}, "files": list_files(staging)}
    return StoredVersions(ObjectStore("s3://prod/churn", Access(s3.env)), "a").publish(staging, manifest)


def fetch(s3: S3, tmp_path: Path, uri: str, *options: str, **env: str) -> tuple[int, str]:
    """Run the command; returns its exit code and last word."""
    last_word = tmp_path / "termination-log"
    target = tmp_path / "models" / "churn" / "1"
    arguments = ["--source", uri, "--target", str(target), "--wait", "0", *options]
    code = main(arguments, s3.env | env)
    return code, last_word.read_text() if last_word.exists() else ""


@pytest.fixture(autouse=True)
def _last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(names.TERMINATION_MESSAGE_ENV, str(tmp_path / "termination-log"))


def test_a_version_arrives_whole_and_verified_though_every_third_request_fails(
    s3: S3, version: ModelVersion, tmp_path: Path
) -> None:
    with s3.failing(every_third):
        code, said = fetch(s3, tmp_path, f"s3://prod/churn/{version.version}", "--digest", version.digest)

    folder = tmp_path / "models" / "churn" / "1"
    assert (code, said) == (0, "")
    assert json.loads((folder / "trainyard.json").read_text())["version"] == version.version
    assert (folder / "variables" / "data").stat().st_size == 3_000_000
    assert [each.name for each in folder.parent.iterdir()] == ["1"]


def test_what_is_not_the_version_that_was_trained_never_arrives(s3: S3, version: ModelVersion, tmp_path: Path) -> None:
    uri = f"s3://prod/churn/{version.version}"

    def outcome(*options: str) -> Any:
        return fetch(s3, tmp_path, uri, *options)

    assert outcome("--digest", "sha256:00")[1].startswith("DigestMismatch: s3://prod/churn/")
    s3.put("prod", f"churn/{version.version}/saved_model.pb", b"other")
    assert outcome()[1].startswith(f"CorruptModel: {uri}/saved_model.pb is not the file that was exported")
    s3.client.delete_object(Bucket="prod", Key=f"churn/{version.version}/saved_model.pb")
    assert outcome()[1].startswith(f"IncompleteModel: {uri}/saved_model.pb is missing")
    s3.client.delete_object(Bucket="prod", Key=f"churn/{version.version}/trainyard.json")
    assert "has no trainyard.json: the version is incomplete" in outcome()[1]
    assert not (tmp_path / "models" / "churn" / "1").exists()


@pytest.mark.parametrize(
    ("uri", "env", "said"),
    [
        ("s3://prod/churn/99", {}, "ModelNotFound: s3://prod/churn/99 does not exist"),
        ("s3://nowhere/churn/1", {}, "BadInput: cannot use s3://nowhere/churn/1"),
        ("s3://prod/churn/1", {"AWS_SECRET_ACCESS_KEY": ""}, "BadInput: AWS_SECRET_ACCESS_KEY is missing"),
        (
            "s3://prod/churn/1",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
            "StoreUnavailable: s3://prod/churn/1",
        ),
    ],
)
def test_the_last_word_is_a_reason_and_what_to_change(
    uri: str, env: dict[str, str], said: str, s3: S3, version: ModelVersion, tmp_path: Path
) -> None:
    code, last_word = fetch(s3, tmp_path, uri, **env)

    assert code == 1
    assert last_word.startswith(said)
    assert s3.env["AWS_SECRET_ACCESS_KEY"] not in last_word
