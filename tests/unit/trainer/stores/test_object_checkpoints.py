"""Checkpoints that outlive the disk they were written to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.stores import S3, one_in_three
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.faults import StoreUnavailable
from trainyard_trainer.stores.folder_checkpoints import Snapshot
from trainyard_trainer.stores.object_checkpoints import StoredCheckpoints
from trainyard_trainer.stores.objects import ObjectStore

MOMENTS = 20
REMOTE = ".training/a/checkpoints"


def a_snapshot(step: int, plan: str = "plan") -> Snapshot:
    return Snapshot(step, plan, {"epoch": step}, {"weights": np.full(1000, step, np.float32)})


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> str:
    return s3.bucket(f"c{abs(hash(request.node.name))}")


def on_a_node(disk: Path, s3: S3, bucket: str, **env: str) -> StoredCheckpoints:
    return StoredCheckpoints(disk, ObjectStore(f"s3://{bucket}/churn", Access(s3.env | env)), REMOTE, keep=2)


def steps(s3: S3, bucket: str) -> list[int]:
    return [int(key.rpartition("step-")[2].partition(".")[0]) for key in s3.keys(bucket)]


def load(checkpoints: StoredCheckpoints, plan: str = "plan") -> tuple[int | None, list[str]]:
    """Return the step of the checkpoint that is used, and which were skipped."""
    skipped: list[str] = []
    found: Any = checkpoints.load_newest(plan, lambda path, why: skipped.append(path.name))
    if found is None:
        return None, skipped
    assert found[0].arrays["weights"].tolist() == [found[0].step] * 1000
    return found[0].step, skipped


def test_the_newest_is_brought_to_another_node_and_as_many_are_kept_as_on_the_disk(
    s3: S3, bucket: str, tmp_path: Path
) -> None:
    first = on_a_node(tmp_path / "one", s3, bucket)
    for step in (10, 20, 30):
        first.save(a_snapshot(step))

    assert steps(s3, bucket) == [20, 30]
    assert load(on_a_node(tmp_path / "two", s3, bucket)) == (30, [])
    assert [each.name for each in (tmp_path / "two").iterdir()] == ["step-000000000030.ckpt"]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-10], lambda content: b"", lambda content: b"x" + content[1:]]
)
def test_a_damaged_one_is_skipped_and_removed(damage: Any, s3: S3, bucket: str, tmp_path: Path) -> None:
    first = on_a_node(tmp_path / "one", s3, bucket)
    for step in (10, 20):
        first.save(a_snapshot(step))
    key = s3.keys(bucket)[-1]
    s3.put(bucket, key, damage(s3.get(bucket, key)))

    assert load(on_a_node(tmp_path / "two", s3, bucket)) == (10, ["step-000000000020.ckpt"])
    assert steps(s3, bucket) == [10]


def test_those_of_other_settings_are_not_used(s3: S3, bucket: str, tmp_path: Path) -> None:
    on_a_node(tmp_path / "one", s3, bucket).save(a_snapshot(10, plan="other"))

    assert load(on_a_node(tmp_path / "two", s3, bucket)) == (None, ["step-000000000010.ckpt"])


def test_one_that_could_not_be_uploaded_does_not_count_as_saved(s3: S3, bucket: str, tmp_path: Path) -> None:
    checkpoints = on_a_node(tmp_path / "one", s3, bucket, AWS_MAX_ATTEMPTS="1")
    checkpoints.save(a_snapshot(10))

    with s3.failing(lambda number, request: True), pytest.raises(OSError, match="does not answer as it should"):
        checkpoints.save(a_snapshot(20))

    assert load(on_a_node(tmp_path / "two", s3, bucket)) == (10, [])


@pytest.mark.thorough
def test_whatever_requests_fail_what_was_saved_is_found_whole(s3: S3, bucket: str, tmp_path: Path) -> None:
    first = on_a_node(tmp_path / "one", s3, bucket, AWS_MAX_ATTEMPTS="2")
    newest, failed, unreachable = 0, 0, 0
    for moment in range(1, MOMENTS + 1):
        with s3.failing(one_in_three(seed=moment)):
            try:
                first.save(a_snapshot(moment))
                newest = moment
            except OSError:
                failed += 1
            try:
                brought, skipped = load(on_a_node(tmp_path / f"a{moment}", s3, bucket, AWS_MAX_ATTEMPTS="2"))
            except StoreUnavailable:
                unreachable += 1
            else:
                assert (brought or 0) >= newest
                assert skipped == []

        found, skipped = load(on_a_node(tmp_path / f"b{moment}", s3, bucket))

        assert (found or 0) >= newest
        assert skipped == []
    assert 0 < failed < MOMENTS
    assert 0 < unreachable < MOMENTS
    first.save(a_snapshot(100))
    assert len(steps(s3, bucket)) == 2


def test_nothing_is_left_once_they_are_not_needed_any_more(s3: S3, bucket: str, tmp_path: Path) -> None:
    checkpoints = on_a_node(tmp_path / "one", s3, bucket)
    checkpoints.save(a_snapshot(10))

    checkpoints.clear()
    checkpoints.clear()

    assert s3.keys(bucket) == []
    assert load(on_a_node(tmp_path / "two", s3, bucket)) == (None, [])
