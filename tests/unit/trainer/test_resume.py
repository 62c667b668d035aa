"""Trainings that are killed or stopped and go on: they end as if nothing had happened."""

import csv
import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from support.trainer_runs import SpecBuilder, a_stateful_spec, run, start, weights
from trainyard_api import names

pytestmark = pytest.mark.thorough

EPOCHS = 40
MEMORY = "1000000000"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SpecBuilder:
    return a_stateful_spec(tmp_path_factory.mktemp("data") / "rows.csv", epochs=EPOCHS)


@pytest.fixture(scope="module")
def undisturbed(spec: SpecBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that nothing disturbs, with its rows in memory."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run(spec, folder).code == 0
    return folder


def report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "termination-log").read_text()))


def wait_for(process: "subprocess.Popen[str]", event: str) -> dict[str, Any] | None:
    """Read the trainer's log up to an event; returns nothing where it ends before."""
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    return None


def wait_for_checkpoints(process: "subprocess.Popen[str]", folder: Path, *, beyond: str = "", count: int = 1) -> None:
    """Return once there are that many checkpoints newer than `beyond`, or the process has ended."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if sum(each > beyond for each in checkpoints(folder)) >= count:
            return
        time.sleep(0.005)


def checkpoints(folder: Path) -> list[str]:
    return sorted(str(each) for each in (folder / "store").rglob("*.ckpt"))


def assert_same(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    for field in ("reason", "epochs", "steps", "loss", "metrics"):
        assert report(one)[field] == report(other)[field]


@pytest.mark.parametrize(("cache", "kills"), [(MEMORY, 2), ("20000", 1)], ids=["memory", "streamed"])
def test_killed_at_random_moments_it_ends_with_the_weights_of_an_undisturbed_run(
    cache: str, kills: int, spec: SpecBuilder, undisturbed: Path, tmp_path: Path
) -> None:
    extra = {"TRAINYARD_CACHE_BYTES": cache}
    if cache != MEMORY:
        undisturbed = tmp_path / "undisturbed"
        undisturbed.mkdir()
        assert run(spec, undisturbed, extra).code == 0
    chance = random.Random(cache)

    for _ in range(kills):
        newest = max(checkpoints(tmp_path), default="")
        with start(spec, tmp_path, extra) as process:
            wait_for_checkpoints(process, tmp_path, beyond=newest)
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
            process.communicate()
        assert process.returncode == -signal.SIGKILL
    last = run(spec, tmp_path, extra)

    assert last.code == 0
    assert last.the("resumed")
    assert_same(undisturbed, tmp_path)
    with next((tmp_path / "store").rglob("history.csv")).open() as stream:
        assert [row["epoch"] for row in csv.DictReader(stream)] == [str(i + 1) for i in range(EPOCHS)]
    (curves,) = (tmp_path / "store").rglob("train/*tfevents*")
    shown = [event.step for event in tf.compat.v1.train.summary_iterator(str(curves)) if event.summary.value]
    assert shown == sorted(set(shown))
    assert shown[-1] == EPOCHS


def test_stopped_on_request_it_saves_leaves_at_once_and_goes_on_from_there(
    spec: SpecBuilder, undisturbed: Path, tmp_path: Path
) -> None:
    with start(spec.with_checkpoint(everySteps=1_000_000), tmp_path) as process:
        assert wait_for(process, "epoch")
        time.sleep(0.4)
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        end = wait_for(process, "stopped")
        took = time.monotonic() - asked
        process.wait()

    assert end is not None
    assert process.returncode == names.EXIT_STOPPED
    assert took < 10  # of the 30 seconds that Kubernetes gives
    left = report(tmp_path)
    assert (left["reason"], left["model"]) == ("Stopped", None)
    assert left["lastCheckpoint"]["step"] == left["steps"] > 0
    assert (tmp_path / "store" / left["lastCheckpoint"]["path"]).exists()

    again = run(spec.with_checkpoint(everySteps=1_000_000), tmp_path)
    assert again.the("resumed")["step"] == left["steps"]
    assert_same(undisturbed, tmp_path)


def test_stopped_before_the_first_step_it_leaves_at_once(spec: SpecBuilder, tmp_path: Path) -> None:
    with start(spec, tmp_path) as process:
        assert wait_for(process, "starting")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)

    assert process.returncode == names.EXIT_STOPPED
    assert report(tmp_path)["reason"] == "Stopped"


def test_killed_while_exporting_it_exports_again_without_training_again(spec: SpecBuilder, tmp_path: Path) -> None:
    with start(spec.with_fit(epochs=2), tmp_path) as process:
        assert wait_for(process, "exporting")
        process.kill()
        process.communicate()
    assert not list((tmp_path / "store").rglob(names.MANIFEST_FILE))

    again = run(spec.with_fit(epochs=2), tmp_path)

    assert again.code == 0
    assert again.the("resumed")["step"] == again.report["steps"]
    assert [each for each in again.events if each["event"] == "epoch"] == []
    assert sorted(each.name for each in (tmp_path / "store" / "sample").iterdir()) == [".training", "1"]


def test_a_damaged_checkpoint_is_skipped_with_a_message_and_the_result_is_the_same(
    spec: SpecBuilder, undisturbed: Path, tmp_path: Path
) -> None:
    with start(spec, tmp_path) as process:
        wait_for_checkpoints(process, tmp_path, count=2)
        process.kill()
        process.communicate()
    newest = Path(checkpoints(tmp_path)[-1])
    newest.write_bytes(newest.read_bytes()[:-100])

    again = run(spec, tmp_path)

    assert newest.name in again.the("checkpoint-skipped")["message"]
    assert_same(undisturbed, tmp_path)


def test_checkpoints_of_other_data_are_not_used(spec: SpecBuilder, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    shutil.copy(spec.manifest["spec"]["data"]["source"]["uri"], rows)
    spec = spec.with_data(source={"uri": str(rows)})
    with start(spec, tmp_path) as process:
        wait_for_checkpoints(process, tmp_path)
        process.kill()
        process.communicate()
    rows.write_text(rows.read_text() + "0.5,0.5,x,1\n")

    again = run(spec, tmp_path)

    skipped = [each["message"] for each in again.events if each["event"] == "checkpoint-skipped"]
    assert skipped
    assert all("other data or settings" in each for each in skipped)
    assert (again.code, again.report["epochs"]) == (0, EPOCHS)
