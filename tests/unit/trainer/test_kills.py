"""Trainers that are killed or stopped at random moments, again and again, end as if nothing had happened.

`TRAINYARD_FAULTS` sets how many moments are tried.
"""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.trainer_fits import checkpoint_folder, newest_snapshot
from support.trainer_forks import Trainers
from support.trainer_runs import SpecBuilder, a_stateful_spec
from trainyard_operator.api import names
from trainyard_trainer.fitting.checkpoint import Snapshot

MOMENTS = int(os.environ.get("TRAINYARD_FAULTS", "20"))


@pytest.fixture(scope="module")
def trainers() -> Iterator[Trainers]:
    with Trainers() as started:
        yield started


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SpecBuilder:
    return a_stateful_spec(tmp_path_factory.mktemp("data") / "rows.csv", epochs=30).with_checkpoint(
        everySteps=50, keep=2
    )


@pytest.fixture(scope="module")
def undisturbed(trainers: Trainers, spec: SpecBuilder, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """The last checkpoint of a training that nothing disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert trainers.run(spec, folder).code == 0
    return newest_snapshot(folder)


def moments(seed: str) -> Iterator[tuple[str, float]]:
    """Yield moments: an event of the trainer's log, and the seconds after it. Most are within the training."""
    chance = random.Random(seed)
    for _ in range(MOMENTS):
        yield chance.choice(["starting", "settings", "settings", "settings"]), chance.uniform(0, 0.25)


def assert_same(folder: Path, expected: Snapshot) -> None:
    found = newest_snapshot(folder)
    assert found.step == expected.step
    assert {**found.state, "seconds": 0} == {**expected.state, "seconds": 0}
    for name, value in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], value, err_msg=name)


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint by its name; 0 where there is none."""
    names_ = sorted(each.name for each in checkpoint_folder(folder).glob("step-*.ckpt"))
    return int(names_[-1][5:17]) if names_ else 0


def test_kill_9_loses_at_most_the_steps_since_the_last_checkpoint(
    trainers: Trainers, spec: SpecBuilder, undisturbed: Snapshot, tmp_path: Path
) -> None:
    saved = killed = 0
    for event, delay in moments("kill"):
        ended = trainers.run(spec, tmp_path, send=signal.SIGKILL, after=event, delay=delay)

        killed += ended.code == -signal.SIGKILL
        assert ended.code in (0, -signal.SIGKILL)
        assert ended.all("checkpoint-skipped") == []
        assert {each["step"] for each in ended.all("resumed")} <= {saved}
        saved = newest_step(tmp_path)

    last = trainers.run(spec, tmp_path)

    assert killed > MOMENTS / 3
    assert [each["step"] for each in last.all("resumed")] == [saved]
    assert last.code == 0
    assert_same(tmp_path, undisturbed)


def test_sigterm_loses_nothing_and_ends_within_the_grace_period(
    trainers: Trainers, spec: SpecBuilder, undisturbed: Snapshot, tmp_path: Path
) -> None:
    stopped = 0
    for event, delay in moments("term"):
        ended = trainers.run(spec, tmp_path, send=signal.SIGTERM, after=event, delay=delay)

        stopped += ended.code == names.EXIT_STOPPED
        assert ended.code in (0, names.EXIT_STOPPED)
        if ended.code and "after a checkpoint" in ended.report["message"]:
            assert ended.report["reason"] == "Stopped"
            assert ended.report["lastCheckpoint"]["step"] == ended.report["steps"] == newest_step(tmp_path)

    last = trainers.run(spec, tmp_path)

    assert stopped > MOMENTS / 3
    assert last.code == 0
    assert_same(tmp_path, undisturbed)
