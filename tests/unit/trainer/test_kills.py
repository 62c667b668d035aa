"""Trainers that are killed or stopped at random moments, again and again, end as if nothing had happened.

`TRAINYARD_FAULTS` sets how many moments are tried.
"""

import hashlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from support.trainer_fits import checkpoint_folder, newest_snapshot
from support.trainer_forks import Trainers
from support.trainer_runs import SpecBuilder, a_stateful_spec, weights
from trainyard_api import names
from trainyard_trainer.stores.folder_checkpoints import Snapshot

pytestmark = pytest.mark.thorough

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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_ended_while_it_exports_or_publishes_it_leaves_no_version_or_a_whole_one_and_in_the_end_there_is_one(
    how: signal.Signals, trainers: Trainers, tmp_path: Path
) -> None:
    spec = a_stateful_spec(tmp_path / "rows.csv", epochs=1)
    lasts = {}
    for event in ("exporting", "verified"):
        calm = tmp_path / event
        calm.mkdir()
        undisturbed = trainers.run(spec, calm, export=True, after=event)
        assert undisturbed.code == 0
        lasts[event] = undisturbed.seconds
    expected, chance = weights(calm), random.Random(how.name)
    ended = within = 0

    def check(folder: Path) -> bool:
        """Return whether there is a version; it is then the one, whole, and as if nothing had happened."""
        store = folder / "store" / "sample"
        versions = sorted(each.name for each in store.iterdir() if each.name.isdecimal())
        if not versions:
            return False
        assert versions == ["1"]
        manifest = json.loads((store / "1" / names.MANIFEST_FILE).read_text())
        for each in manifest["files"]:
            content = (store / "1" / each["path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == each["sha256"]
        found = weights(folder)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        return True

    folder = calm
    for moment in range(MOMENTS):
        if check(folder):  # else what was left is gone on with
            folder = tmp_path / str(moment)
            folder.mkdir()
        after, delay = chance.choice(list(lasts)), chance.random()
        stopped = trainers.run(spec, folder, export=True, send=how, after=after, delay=delay * lasts[after])

        assert stopped.code in (0, -how if how == signal.SIGKILL else names.EXIT_STOPPED), stopped.report
        ended += stopped.code != 0
        within += stopped.code != 0 and not check(folder)

    last = trainers.run(spec, folder, export=True)

    assert ended > MOMENTS / 4
    assert within > MOMENTS / 5
    assert last.code == 0
    assert check(folder)
    assert sorted(each.name for each in (folder / "store" / "sample").iterdir()) == [".training", "1"]
