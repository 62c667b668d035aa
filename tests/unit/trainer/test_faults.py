"""Disks that are full, files that are damaged, clocks that are set back: at 20 random moments each."""

import itertools
import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.full_disk import no_file_beyond
from support.trainer_fits import checkpoint_folder, fitted, newest_snapshot
from support.trainer_runs import a_spec, run
from trainyard_api import names
from trainyard_trainer.clock import Clock
from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder, Snapshot

pytestmark = pytest.mark.thorough

MOMENTS = 20


class FullDisk(CheckpointFolder):
    """Checkpoints on a disk that is full at random moments of writing one."""

    def __init__(self, path: Path, *, keep: int, sizes: list[int]) -> None:
        super().__init__(path, keep=keep)
        self._sizes = sizes

    def save(self, snapshot: Snapshot) -> Path:
        with no_file_beyond(self._sizes.pop() if self._sizes else 1 << 40):
            return super().save(snapshot)


def test_a_disk_that_is_full_while_a_checkpoint_is_written_costs_that_one_only(table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_fit(epochs=60).with_checkpoint(everySteps=12, keep=2)
    undisturbed = fitted(spec, tmp_path / "undisturbed")
    size = max(checkpoint_folder(tmp_path / "undisturbed").iterdir()).stat().st_size
    chance = random.Random(5)
    sizes = [chance.randrange(size) for _ in range(MOMENTS)]

    disturbed = fitted(
        spec, tmp_path / "disturbed", checkpoints=lambda path, keep: FullDisk(path, keep=keep, sizes=sizes)
    )

    failed = [each for each in disturbed.events if each["event"] == "checkpoint-failed"]
    assert (len(failed), sizes) == (MOMENTS, [])
    assert all("older ones are kept" in each["message"] for each in failed)
    assert disturbed.digest == undisturbed.digest
    assert newest_snapshot(tmp_path / "disturbed").step == newest_snapshot(tmp_path / "undisturbed").step
    assert not list(checkpoint_folder(tmp_path / "disturbed").glob(".*"))


def test_a_training_on_a_disk_that_is_full_from_the_beginning_ends_with_the_same_weights(
    table: Path, tmp_path: Path
) -> None:
    spec = a_spec(table)
    undisturbed = fitted(spec, tmp_path / "undisturbed")

    with ExitStack() as full:

        def checkpoints(path: Path, keep: int) -> CheckpointFolder:
            full.enter_context(no_file_beyond(10))
            return CheckpointFolder(path, keep=keep)

        disturbed = fitted(spec, tmp_path / "disturbed", checkpoints=checkpoints)

    assert disturbed.the("history-failed")["message"].startswith("the history is not complete: ")
    assert disturbed.digest == undisturbed.digest


def test_a_disk_that_is_full_while_a_version_is_written_leaves_none_and_the_next_run_writes_it(
    table: Path, tmp_path: Path
) -> None:
    # More weights than the other files are long, so that it is mostly the SavedModel that does not fit.
    spec = a_spec(table).with_keras(hidden=[200, 200]).with_fit(epochs=1).with_checkpoint(keep=2)
    fitted(spec, tmp_path)
    chance = random.Random(7)

    for _ in range(MOMENTS):
        with no_file_beyond(chance.randrange(5_000, 160_000)):
            full = run(spec, tmp_path)
        assert full.code == 1, full.report
        assert full.report["model"] is None
        assert not [each for each in (tmp_path / "store" / "sample").iterdir() if each.name.isdecimal()]

    again = run(spec, tmp_path)
    assert again.code == 0, again.stderr
    assert again.the("resumed")["step"] == again.report["steps"]
    assert again.report["model"]["version"] == 1


def test_a_damaged_part_of_a_parquet_data_set_is_bad_input_that_names_it(tmp_path: Path) -> None:
    rng, chance = np.random.default_rng(3), random.Random(3)
    data = tmp_path / "data"
    data.mkdir()
    for part in range(3):
        columns = {name: rng.normal(size=200) for name in "abc"}
        table = pa.table(columns | {"label": rng.integers(0, 2, 200)})
        pq.write_table(table, data / f"part-{part}.parquet", write_page_checksum=True)
    victim = data / "part-1.parquet"
    whole = victim.read_bytes()
    for moment in range(MOMENTS):
        if moment % 2:
            victim.write_bytes(whole[: chance.randrange(1, len(whole))])
        else:
            at = chance.randrange(len(whole) - 400)
            victim.write_bytes(whole[:at] + rng.bytes(400) + whole[at + 400 :])

        result = run(a_spec(data).with_fit(epochs=1, batchSize=128, stopWhen={"steps": 1}), tmp_path)

        assert result.code == names.EXIT_BAD_INPUT, (moment, result.report)
        assert "cannot read part-1.parquet" in result.report["message"]


class TellingClock(Clock):
    """A clock that remembers what it has told."""

    def __init__(self, steady: Callable[[], float], wall: Callable[[], float]) -> None:
        super().__init__(steady, wall)
        self.told: list[float] = []

    def unix(self) -> float:
        self.told.append(super().unix())
        return self.told[-1]


def test_a_clock_that_is_set_back_at_random_moments_changes_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, readings = random.Random(9), itertools.count()
    times: list[float] = []

    def wall() -> float:
        times.append(chance.uniform(0, 2e9))
        return times[-1]

    spec = a_spec(table).with_fit(epochs=60, stopWhen={"timeLimit": "1h"}).with_checkpoint(every="1s", keep=100)
    jumping = TellingClock(steady=lambda: next(readings) / 10, wall=wall)
    calm = fitted(spec, tmp_path / "calm")
    monkeypatch.setattr(time, "time", wall)

    result = fitted(spec, tmp_path, clock=jumping)

    assert result.trained.end.reason == "MaxEpochs"
    assert result.digest == calm.digest
    assert len(list(checkpoint_folder(tmp_path).iterdir())) > len(list(checkpoint_folder(tmp_path / "calm").iterdir()))
    assert result.progress.eta_seconds == 0
    assert sum(later < earlier for earlier, later in itertools.pairwise(times)) > MOMENTS
    assert len(jumping.told) > MOMENTS
    assert jumping.told == sorted(jumping.told)
    assert result.progress.last_step_time == jumping.told[-1]


def test_the_newest_checkpoint_is_that_of_the_last_step_whatever_the_clock_said(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    for step in (10, 20, 30):
        os.utime(folder.save(Snapshot(step, "plan", {}, {"a": np.zeros(2)})), (1e9 - step, 1e9 - step))

    found = folder.load_newest("plan", lambda path, why: pytest.fail(why))

    assert found is not None
    assert found[0].step == 30
    assert len(list(tmp_path.iterdir())) == 2


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others(table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_keras(dropout=0.2)

    one, again, other = (fitted(spec.with_fit(seed=seed), tmp_path / f"{n}").digest for n, seed in enumerate((1, 1, 2)))

    assert one == again != other
