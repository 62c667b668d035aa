"""When a training is saved."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from trainyard_trainer.clock import Clock
from trainyard_trainer.fitting.saving import CheckpointInterval, Saver
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder, Snapshot


class Harness:
    """A saver whose time is in a test's hands."""

    def __init__(self, folder: Path, *, steps: int | None, seconds: float = 60.0) -> None:
        self.now, self.wall, self.log = 0.0, 1e9, io.StringIO()
        self.tracker = ProgressTracker(Clock(steady=lambda: self.now, wall=lambda: self.wall))
        self.saver = Saver(
            CheckpointFolder(folder, keep=2),
            CheckpointInterval(steps, seconds),
            tracker=self.tracker,
            event_log=EventLog(self.log),
            store=folder.parent,
        )

    def save(self, step: int) -> None:
        self.saver.submit(Snapshot(step, "plan", {}, {"weights": np.zeros(3)}))


@pytest.mark.parametrize(
    ("steps", "seconds_passed", "done", "due"),
    [(10, 0.0, 20, True), (10, 0.0, 25, False), (10, 60.0, 25, True), (None, 59.9, 20, False), (None, 60.0, 21, True)],
)
def test_a_checkpoint_is_due_by_steps_or_by_time(
    steps: int | None, seconds_passed: float, done: int, due: bool, tmp_path: Path
) -> None:
    harness = Harness(tmp_path, steps=steps)
    harness.now += seconds_passed

    assert harness.saver.due(done) is due


def test_no_call_runs_past_a_checkpoint_by_steps(tmp_path: Path) -> None:
    assert [Harness(tmp_path, steps=10).saver.steps_until_due(done) for done in (0, 7, 10)] == [10, 3, 10]
    assert Harness(tmp_path, steps=None).saver.steps_until_due(7) > 10**12


def test_a_clock_that_is_set_back_delays_no_checkpoint(tmp_path: Path) -> None:
    harness = Harness(tmp_path, steps=None)
    harness.save(1)

    harness.wall -= 1e6
    harness.now += 60

    assert harness.saver.due(2)


def test_what_is_on_the_disk_is_noted_and_what_is_not_is_said(tmp_path: Path) -> None:
    good, bad = Harness(tmp_path / "store" / "good", steps=None), Harness(tmp_path / "file" / "in", steps=None)
    (tmp_path / "file").write_text("a file where the folder should be")

    for harness in (good, bad):
        harness.save(7)
        harness.saver.close()

    assert good.saver.has(7)
    assert good.tracker.current.last_checkpoint is not None
    assert good.tracker.current.last_checkpoint.path == "good/step-000000000007.ckpt"
    assert not bad.saver.has(7)
    assert json.loads(bad.log.getvalue())["event"] == "checkpoint-failed"
