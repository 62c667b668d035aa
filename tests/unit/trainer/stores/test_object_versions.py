"""Versions in a store without rename: complete or not there, and a number of its own for each."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from support.stores import S3, every_third, one_in_three
from trainyard_api.names import MANIFEST_FILE
from trainyard_trainer.errors import BadInput
from trainyard_trainer.files import list_files
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.faults import StoreUnavailable
from trainyard_trainer.stores.folder_versions import Origin
from trainyard_trainer.stores.object_versions import StoredVersions
from trainyard_trainer.stores.objects import ObjectStore

MOMENTS = 20


def staged(
    folder: Path, uid: str, content: str = "weights", fingerprint: str | None = None
) -> tuple[Path, dict[str, Any]]:
    staging = folder / uid
    (staging / "variables").mkdir(parents=True)
    (staging / "saved_model.pb").write_text("graph")
    (staging / "variables" / "data").write_text(content)
    origin = {"uid": uid} | ({"fingerprint": fingerprint} if fingerprint else {})
    return staging, {"name": "churn", "trainingJob": origin, "files": list_files(staging)}


def versions(s3: S3, bucket: str, uid: str, *, attempts: int = 6, fingerprint: str | None = None) -> StoredVersions:
    access = Access(s3.env | {"AWS_MAX_ATTEMPTS": str(attempts)})
    return StoredVersions(ObjectStore(f"s3://{bucket}/models/churn", access), Origin(uid, fingerprint))


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> str:
    return s3.bucket(f"b{abs(hash(request.node.name))}")


def test_a_version_gets_the_number_after_the_highest_and_its_manifest_last(s3: S3, bucket: str, tmp_path: Path) -> None:
    s3.put(bucket, "models/churn/7/trainyard.json", b"{}")
    s3.put(bucket, "models/churn/notes/x", b"")

    with s3.failing(lambda number, request: False):
        version = versions(s3, bucket, "a").publish(*staged(tmp_path, "a"))
        written = [path for method, path in s3.requests if method == "PUT" and not path.endswith("/")]

    assert (version.version, version.path, version.size_bytes) == (8, "churn/8", 12)
    assert written[0].endswith("/8/.claim-a")
    assert written[-1].endswith(f"/8/{MANIFEST_FILE}")
    assert s3.keys(bucket)[1:] == [
        "models/churn/8/saved_model.pb",
        "models/churn/8/trainyard.json",
        "models/churn/8/variables/data",
        "models/churn/notes/x",
    ]
    assert json.loads(s3.get(bucket, "models/churn/8/trainyard.json"))["version"] == 8


def test_a_version_is_found_again_with_the_same_digest(s3: S3, bucket: str, tmp_path: Path) -> None:
    version = versions(s3, bucket, "a").publish(*staged(tmp_path, "a"))
    versions(s3, bucket, "b").publish(*staged(tmp_path, "b"))

    found = versions(s3, bucket, "a").find()

    assert found is not None
    assert found.version == version
    assert versions(s3, bucket, "c").find() is None


def test_a_version_of_the_same_spec_is_taken_where_that_is_asked_for_and_none_is_its_own(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    for uid, fingerprint in [("a", "sha256:a"), ("b", "sha256:a"), ("c", "sha256:c"), ("old", None)]:
        versions(s3, bucket, uid).publish(*staged(tmp_path, uid, fingerprint=fingerprint))

    asked = [("new", None), ("new", "sha256:a"), ("a", "sha256:a"), ("new", "sha256:d")]
    found = [versions(s3, bucket, uid, fingerprint=fingerprint).find() for uid, fingerprint in asked]

    assert [each and each.version.version for each in found] == [None, 2, 1, None]


@pytest.mark.parametrize("put", [1, 2, 3, 4])
def test_an_upload_that_fails_anywhere_leaves_nothing_complete_and_is_done_again(
    put: int, s3: S3, bucket: str, tmp_path: Path
) -> None:
    staging, manifest = staged(tmp_path, "a")

    def from_there_on(number: int, request: Any) -> bool:
        puts = [path for method, path in s3.requests if method == "PUT"]
        return len(puts) >= put

    with s3.failing(from_there_on), pytest.raises(StoreUnavailable):
        versions(s3, bucket, "a", attempts=1).publish(staging, manifest)

    assert not any(key.endswith(MANIFEST_FILE) for key in s3.keys(bucket))
    assert versions(s3, bucket, "a").find() is None
    assert s3.keys(bucket) == [], "what was left is removed"
    assert versions(s3, bucket, "a").publish(staging, manifest).version >= 1


def test_what_another_training_is_uploading_is_left_alone(s3: S3, bucket: str, tmp_path: Path) -> None:
    s3.put(bucket, "models/churn/1/.claim-other", b"")
    s3.put(bucket, "models/churn/1/saved_model.pb", b"half")

    assert versions(s3, bucket, "a").find() is None
    assert versions(s3, bucket, "a").publish(*staged(tmp_path, "a")).version == 2
    assert s3.keys(bucket)[:2] == ["models/churn/1/.claim-other", "models/churn/1/saved_model.pb"]


def test_trainings_that_end_at_the_same_moment_get_different_versions(s3: S3, bucket: str, tmp_path: Path) -> None:
    work = {uid: staged(tmp_path, uid, "x" * n) for n, uid in enumerate("abcdef")}
    ready = threading.Barrier(len(work))
    numbers: dict[str, int] = {}

    def publish(uid: str) -> None:
        mine = versions(s3, bucket, uid)
        ready.wait()
        numbers[uid] = mine.publish(*work[uid]).version

    threads = [threading.Thread(target=publish, args=(uid,)) for uid in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(numbers.values())) == len(work) == len(numbers)
    for uid, number in numbers.items():
        manifest = json.loads(s3.get(bucket, f"models/churn/{number}/{MANIFEST_FILE}"))
        assert manifest["trainingJob"]["uid"] == uid
        assert (
            s3.get(bucket, f"models/churn/{number}/variables/data")
            == work[uid][0].joinpath("variables/data").read_bytes()
        )
    assert not any(".claim-" in key for key in s3.keys(bucket))


def test_a_store_that_fails_every_third_request_gets_the_version(s3: S3, bucket: str, tmp_path: Path) -> None:
    with s3.failing(every_third):
        version = versions(s3, bucket, "a").publish(*staged(tmp_path, "a"))

    assert version.version == 1
    assert len(s3.keys(bucket)) == 3


def complete_versions(s3: S3, bucket: str) -> list[int]:
    """Return the numbers of the versions that have a manifest, each of them whole."""
    keys, found = s3.keys(bucket), []
    for key in (each for each in keys if each.endswith(f"/{MANIFEST_FILE}")):
        folder = key.removesuffix(f"/{MANIFEST_FILE}")
        manifest = json.loads(s3.get(bucket, key))
        for each in manifest["files"]:
            assert hashlib.sha256(s3.get(bucket, f"{folder}/{each['path']}")).hexdigest() == each["sha256"]
        found.append(int(folder.rpartition("/")[2]))
    return found


@pytest.mark.thorough
def test_whatever_requests_fail_a_version_is_complete_or_not_there_and_in_the_end_there_is_one(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    failed = 0
    for moment in range(MOMENTS):
        uid = f"u{moment}"
        before = complete_versions(s3, bucket)
        staging, manifest = staged(tmp_path, uid, f"weights {moment}")
        with s3.failing(one_in_three(seed=moment)):
            try:
                said = versions(s3, bucket, uid, attempts=2).publish(staging, manifest).version
            except StoreUnavailable:
                failed, said = failed + 1, None
        new = set(complete_versions(s3, bucket)) - set(before)
        assert new == {said} if said else len(new) <= 1

        found = versions(s3, bucket, uid).find()
        assert {found.version.version} == new if found else not new
        again = found.version if found else versions(s3, bucket, uid).publish(staging, manifest)

        assert complete_versions(s3, bucket) == sorted([*before, again.version], key=str)
    assert 0 < failed < MOMENTS
    assert len(complete_versions(s3, bucket)) == MOMENTS


def test_a_bucket_that_does_not_exist_is_a_mistake(s3: S3, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such bucket"):
        versions(s3, "nowhere", "a").publish(*staged(tmp_path, "a"))
