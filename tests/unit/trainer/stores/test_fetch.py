"""The init container of a server whose model is in a store that is no volume."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.graphs import a_graph
from support.signing_keys import write_keys
from support.stores import S3, every_third
from trainyard_api import names
from trainyard_trainer.export.signing import sign
from trainyard_trainer.fetch import main
from trainyard_trainer.files import list_files
from trainyard_trainer.reporting.result import ModelVersion
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.folder_versions import Origin
from trainyard_trainer.stores.object_versions import StoredVersions
from trainyard_trainer.stores.objects import ObjectStore


@pytest.fixture
def version(s3: S3, tmp_path: Path) -> ModelVersion:
    """Publish a version as the trainer does."""
    s3.client.create_bucket(Bucket="prod")
    staging = tmp_path / "staging"
    (staging / "variables").mkdir(parents=True)
    (staging / "saved_model.pb").write_bytes(a_graph("MatMul"))
    (staging / "variables" / "data").write_bytes(bytes(3_000_000))
    manifest = {"name": "churn", "trainingJob": {"uid": "a"}, "files": list_files(staging)}
    return StoredVersions(ObjectStore("s3://prod/churn", Access(s3.env)), Origin("a")).publish(staging, manifest)


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


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """A signed version on a volume; returns its folder and the public key."""
    folder = tmp_path / "store" / "churn" / "1"
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(a_graph("MatMul"))
    (folder / "trainyard.json").write_text(json.dumps({"files": list_files(folder)}))
    private, public = write_keys(tmp_path)
    sign(folder, private)
    return folder, public


def test_a_version_that_the_key_signed_arrives_with_its_signature(
    s3: S3, signed: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, public = signed

    assert fetch(s3, tmp_path, str(folder), "--public-key", str(public)) == (0, "")

    assert (tmp_path / "models" / "churn" / "1" / names.SIGNATURE_FILE).exists()


def test_an_unsigned_version_never_arrives_where_a_signature_is_asked_for(
    s3: S3, signed: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, public = signed
    (folder / names.SIGNATURE_FILE).unlink()

    code, said = fetch(s3, tmp_path, str(folder), "--public-key", str(public))

    assert (code, said.partition(":")[0]) == (1, "NotSigned")
    assert not (tmp_path / "models" / "churn" / "1").exists()


def _forge(folder: Path, public: Path) -> None:
    signature = (folder / names.SIGNATURE_FILE).read_bytes()
    (folder / names.SIGNATURE_FILE).unlink()
    (folder / "saved_model.pb").write_bytes(a_graph("Add"))
    (folder / "trainyard.json").write_text(json.dumps({"files": list_files(folder)}))
    (folder / names.SIGNATURE_FILE).write_bytes(signature)


def _another_key(folder: Path, public: Path) -> None:
    (public.parent / "other").mkdir()
    public.write_bytes(write_keys(public.parent / "other")[1].read_bytes())


def _no_bundle(folder: Path, public: Path) -> None:
    (folder / names.SIGNATURE_FILE).write_bytes(b"\xff no bundle")


def _no_key(folder: Path, public: Path) -> None:
    public.write_text("no key")


@pytest.mark.parametrize("spoil", [_forge, _another_key, _no_bundle, _no_key])
def test_a_version_that_the_key_did_not_sign_never_arrives(
    spoil: Callable[[Path, Path], None], s3: S3, signed: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, public = signed
    spoil(folder, public)

    code, said = fetch(s3, tmp_path, str(folder), "--public-key", str(public))

    assert (code, said.partition(":")[0]) == (1, "SignatureInvalid")
    assert not (tmp_path / "models" / "churn" / "1").exists()
