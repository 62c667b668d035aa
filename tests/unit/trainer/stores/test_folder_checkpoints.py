"""Checkpoints: whole or not there, newest good one first."""

import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from trainyard_trainer.stores.folder_checkpoints import BackgroundWriter, CheckpointFolder, Snapshot


def a_snapshot(step: int, plan: str = "plan") -> Snapshot:
    arrays: dict[str, Any] = {
        "weights": np.arange(6, dtype=np.float32).reshape(2, 3) * step,
        "scalar": np.array(step, np.int64),
        "none": np.zeros((0, 4), np.float32),
        "half": np.array([1.5, step], ml_dtypes.bfloat16),
    }
    return Snapshot(step, plan, {"epoch": step // 10, "totals": {"loss": 0.1 + 0.2}}, arrays)


def refuse(path: Path, why: str) -> None:
    raise AssertionError(f"skipped {path}: {why}")


def test_what_was_saved_comes_back_bit_for_bit(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "deep" / "folder", keep=2)
    saved = a_snapshot(30)

    path = folder.save(saved)
    found = folder.load_newest("plan", refuse)

    assert found is not None
    loaded, where = found
    assert (where, loaded.step, loaded.state) == (path, 30, saved.state)
    for name, array in saved.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert loaded.arrays[name].shape == array.shape
        assert loaded.arrays[name].tobytes() == array.tobytes()


def test_only_the_newest_ones_are_kept(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)

    for step in (5, 10, 15, 20):
        folder.save(a_snapshot(step))

    assert [each.name for each in sorted(tmp_path.iterdir())] == ["step-000000000015.ckpt", "step-000000000020.ckpt"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "header"])
def test_a_damaged_one_is_skipped_with_a_reason_and_the_one_before_is_used(damage: str, tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=3)
    folder.save(a_snapshot(10))
    newest = folder.save(a_snapshot(20))
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        content = content[:-40]
    elif damage == "flip":
        content[-50] ^= 1
    elif damage == "empty":
        content = bytearray()
    else:
        content[0] ^= 1
    newest.write_bytes(content)
    skipped: list[tuple[str, str]] = []

    found = folder.load_newest("plan", lambda path, why: skipped.append((path.name, why)))

    assert found is not None
    assert found[0].step == 10
    assert skipped == [(newest.name, "its checksum does not match: it is damaged or incomplete")]
    assert not newest.exists()


def test_one_that_is_cut_anywhere_is_never_taken_for_whole(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=3)
    folder.save(a_snapshot(10))
    content = folder.save(a_snapshot(20)).read_bytes()
    skipped: list[str] = []

    for length in range(len(content)):
        (tmp_path / "step-000000000020.ckpt").write_bytes(content[:length])
        found = folder.load_newest("plan", lambda path, why: skipped.append(path.name))
        assert found is not None
        assert found[0].step == 10

    assert skipped == ["step-000000000020.ckpt"] * len(content)


def test_one_of_other_data_or_settings_is_skipped(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=3)
    folder.save(a_snapshot(10, plan="another"))
    skipped: list[str] = []

    assert folder.load_newest("plan", lambda path, why: skipped.append(why)) is None
    assert skipped == ["it was written for other data or settings"]


def test_a_half_written_file_is_never_taken_for_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".step-000000000030.ckpt.tmp").write_bytes(b"half")
    folder = CheckpointFolder(tmp_path, keep=2)
    folder.save(a_snapshot(10))

    found = folder.load_newest("plan", refuse)

    assert found is not None
    assert found[0].step == 10


def test_clearing_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "uid" / "checkpoints", keep=2)
    folder.save(a_snapshot(10))
    (tmp_path / "uid" / "checkpoints" / ".step-000000000030.ckpt.tmp").write_bytes(b"half")

    folder.clear()
    folder.clear()

    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_falls_behind_writes_the_newest_and_forgets_those_between(tmp_path: Path) -> None:
    written: list[int] = []
    first_is_written, go_on = threading.Event(), threading.Event()

    def saved(snapshot: Snapshot, path: Path) -> None:
        written.append(snapshot.step)
        first_is_written.set()
        assert go_on.wait(10)

    writer = BackgroundWriter(CheckpointFolder(tmp_path, keep=5), saved=saved, failed=lambda *_: None)
    writer.submit(a_snapshot(1))
    assert first_is_written.wait(10)
    for step in (2, 3, 4):
        writer.submit(a_snapshot(step))
    go_on.set()
    writer.close()

    assert written == [1, 4]


def test_a_writer_goes_on_after_a_failure(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    failures: list[int] = []
    writer = BackgroundWriter(
        CheckpointFolder(blocked, keep=2),
        saved=lambda *_: None,
        failed=lambda snapshot, error: failures.append(snapshot.step),
    )

    writer.submit(a_snapshot(1))
    writer.close()

    assert failures == [1]
