"""Versions in the store: complete or not there, and a number of its own for each."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from trainyard_api.names import MANIFEST_FILE
from trainyard_trainer.files import list_files
from trainyard_trainer.stores.folder_versions import Origin, find, new_staging, publish


def a_manifest(uid: str, staging: Path, fingerprint: str | None = None) -> dict[str, Any]:
    origin = {"uid": uid} | ({"fingerprint": fingerprint} if fingerprint else {})
    return {"name": "churn", "trainingJob": origin, "files": list_files(staging)}


def stage(store: Path, uid: str, content: str = "weights") -> Path:
    staging = new_staging(store, uid)
    (staging / "variables").mkdir()
    (staging / "variables" / "data").write_text(content)
    return staging


def test_a_version_gets_the_number_after_the_highest(tmp_path: Path) -> None:
    for name in ("1", "7", "notes", ".training"):
        (tmp_path / name).mkdir()
    staging = stage(tmp_path, "a")

    version = publish(staging, tmp_path, a_manifest("a", staging))

    assert (version.version, version.path, version.size_bytes) == (8, "churn/8", 7)
    assert json.loads((tmp_path / "8" / MANIFEST_FILE).read_text())["version"] == 8
    assert not staging.exists()


def test_the_digest_is_that_of_the_manifest_and_the_same_when_found_again(tmp_path: Path) -> None:
    staging = stage(tmp_path, "a")

    version = publish(staging, tmp_path, a_manifest("a", staging))

    found = find(tmp_path, Origin("a"))
    assert found is not None
    assert found.version == version
    assert version.digest.startswith("sha256:")


def test_only_complete_versions_of_the_same_training_are_found(tmp_path: Path) -> None:
    staging = stage(tmp_path, "a")
    publish(staging, tmp_path, a_manifest("a", staging))
    (tmp_path / "2").mkdir()
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / MANIFEST_FILE).write_text("{half")

    assert find(tmp_path, Origin("b")) is None
    assert find(tmp_path / "nowhere", Origin("a")) is None
    found = find(tmp_path, Origin("a"))
    assert found is not None
    assert found.version.version == 1


def test_another_run_of_a_training_finds_its_own_version_only(tmp_path: Path) -> None:
    staging = stage(tmp_path, "a")
    manifest = a_manifest("a", staging)
    publish(staging, tmp_path, manifest)
    assert find(tmp_path, Origin("a-1")) is None

    staging = stage(tmp_path, "a-1")
    again = manifest | {"trainingJob": {"uid": "a", "run": 1}, "data": {"fingerprint": "sha256:" + "a" * 64}}
    publish(staging, tmp_path, again)

    found = find(tmp_path, Origin("a-1"))
    assert found is not None
    assert (found.version.version, found.version.data_fingerprint) == (2, "sha256:" + "a" * 64)
    first = find(tmp_path, Origin("a"))
    assert first is not None
    assert first.version.version == 1


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        pytest.param(Origin("new"), None, id="not asked for"),
        pytest.param(Origin("new", "sha256:a"), 3, id="the newest of the same spec"),
        pytest.param(Origin("first", "sha256:a"), 1, id="its own before any other"),
        pytest.param(Origin("new", "sha256:c"), None, id="another spec"),
    ],
)
def test_a_version_of_the_same_spec_is_taken_where_that_is_asked_for(
    origin: Origin, expected: int | None, tmp_path: Path
) -> None:
    for uid, fingerprint in [("first", "sha256:a"), ("b", "sha256:b"), ("c", "sha256:a"), ("old", None)]:
        staging = stage(tmp_path, uid)
        publish(staging, tmp_path, a_manifest(uid, staging, fingerprint))

    found = find(tmp_path, origin)

    assert (found and found.version.version) == expected


def test_a_version_under_another_number_than_its_own_is_not_taken_for_the_same_spec(tmp_path: Path) -> None:
    staging = stage(tmp_path, "a")
    publish(staging, tmp_path, a_manifest("a", staging, "sha256:a"))
    (tmp_path / "1").rename(tmp_path / "4")

    assert find(tmp_path, Origin("new", "sha256:a")) is None


@pytest.mark.parametrize("origin", ["text", [], None, {}, {"fingerprint": None}, {"uid": 7}])
def test_a_manifest_that_does_not_say_who_made_it_is_nobodys(origin: object, tmp_path: Path) -> None:
    staging = stage(tmp_path, "a")
    publish(staging, tmp_path, a_manifest("a", staging) | {"trainingJob": origin})

    assert find(tmp_path, Origin("a", "sha256:a")) is None


def test_what_an_earlier_run_left_half_written_is_removed(tmp_path: Path) -> None:
    stage(tmp_path, "a", "half")

    assert list(new_staging(tmp_path, "a").iterdir()) == []


def test_a_number_taken_in_the_meantime_leads_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = stage(tmp_path, "a")
    manifest = a_manifest("a", staging)
    blocker = tmp_path / "1"
    blocker.mkdir()
    (blocker / "file").write_text("another training's")
    monkeypatch.setattr("trainyard_trainer.stores.folder_versions._numbers", lambda folder: [])

    version = publish(staging, tmp_path, manifest)

    assert version.version == 2
    assert json.loads((tmp_path / "2" / MANIFEST_FILE).read_text())["version"] == 2


def test_trainings_that_end_at_the_same_moment_get_different_versions(tmp_path: Path) -> None:
    stagings = {f"uid-{i}": stage(tmp_path, f"uid-{i}", "x" * i) for i in range(8)}
    ready = threading.Barrier(len(stagings))
    numbers: list[int] = []

    def work(uid: str, staging: Path) -> None:
        manifest = a_manifest(uid, staging)
        ready.wait()
        numbers.append(publish(staging, tmp_path, manifest).version)

    threads = [threading.Thread(target=work, args=each) for each in stagings.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(numbers) == list(range(1, 9))
    for uid in stagings:
        found = find(tmp_path, Origin(uid))
        assert found is not None
        assert found.manifest["files"][0]["size"] == int(uid.removeprefix("uid-"))
