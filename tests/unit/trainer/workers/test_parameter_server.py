"""A chief, workers and a parameter server train one model, while one after the other is killed or asked to stop."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.trainer_pairs import wait_for, write_rows
from support.trainer_runs import SpecBuilder, a_spec, start
from trainyard_api.names import EXIT_DONE, EXIT_PEER_LOST, EXIT_STOPPED

pytestmark = pytest.mark.thorough

EPOCHS = 40


@dataclass
class Group:
    """The processes of a training by what they are called, and what they say."""

    processes: "dict[str, subprocess.Popen[str]]"
    folder: Path

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return what the chief says of an event."""
        return wait_for(self.processes["chief 0"], event)

    def end(self, name: str) -> tuple[int, str]:
        """Return the exit code of a process, and its reason."""
        self.processes[name].communicate(timeout=120)
        return self.processes[name].returncode, self.report(name)["reason"]

    def report(self, name: str) -> dict[str, Any]:
        return dict(json.loads((place(self.folder, name) / "termination-log").read_text()))


def place(folder: Path, name: str) -> Path:
    """Only the chief sees the store in `folder`."""
    return folder if name == "chief 0" else folder / name


@contextmanager
def group(spec: SpecBuilder, folder: Path, *, workers: int = 1) -> Iterator[Group]:
    """Start a chief, workers, and a parameter server."""
    counts = {"chief": 1, "worker": workers, "ps": 1}
    with ExitStack() as probes:
        cluster = {
            job: [
                f"localhost:{probes.enter_context(socket.create_server(('127.0.0.1', 0))).getsockname()[1]}"
                for _ in range(count)
            ]
            for job, count in counts.items()
        }
    processes = {}
    for job, index in [(job, index) for job, count in counts.items() for index in range(count)]:
        own = place(folder, f"{job} {index}")
        own.mkdir(exist_ok=True)
        task = {"cluster": cluster, "task": {"type": job, "index": index}}
        processes[f"{job} {index}"] = start(spec, own, {"TF_CONFIG": json.dumps(task)})
    try:
        yield Group(processes, folder)
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SpecBuilder:
    """A training with a short last batch, and moving averages that workers change at once."""
    return (
        a_spec(write_rows(tmp_path_factory.mktemp("data") / "rows.csv"))
        .with_keras(hidden=[8], l2=0.001, normalization="batchNormalization", dropout=0.1)
        .with_fit(epochs=EPOCHS, batchSize=64)
        .with_checkpoint(everySteps=9)
    )


@dataclass(frozen=True)
class Stopped:
    """How a training went that lost a worker and was asked to stop."""

    lost: dict[str, Any]
    afterwards: dict[str, Any]
    ends: dict[str, tuple[int, str]]
    report: dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the chief keeps its store through all of this."""
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def stopped(spec: SpecBuilder, folder: Path) -> Stopped:
    with group(spec, folder, workers=2) as running:
        running.wait_for("epoch")
        os.kill(running.processes["worker 0"].pid, signal.SIGKILL)
        lost = running.wait_for("worker-lost")
        afterwards = running.wait_for("epoch")
        for name in ("ps 0", "chief 0"):  # as when all pods are stopped at once
            running.processes[name].send_signal(signal.SIGTERM)
        ends = {name: running.end(name) for name in ("chief 0", "ps 0", "worker 1")}
        return Stopped(lost, afterwards, ends, running.report("chief 0"))


@dataclass(frozen=True)
class Broken:
    """How a training that went on ended with its parameter server."""

    resumed: dict[str, Any]
    ends: dict[str, tuple[int, str]]
    report: dict[str, Any]


@pytest.fixture(scope="module")
def broken(spec: SpecBuilder, folder: Path, stopped: Stopped) -> Broken:
    with group(spec, folder) as running:
        resumed = running.wait_for("resumed")
        for _ in range(2):  # by the second line a checkpoint of the first epoch is there
            running.wait_for("epoch")
        os.kill(running.processes["ps 0"].pid, signal.SIGKILL)
        ends = {name: running.end(name) for name in ("chief 0", "worker 0")}
        return Broken(resumed, ends, running.report("chief 0"))


@dataclass(frozen=True)
class Finished:
    """How it came to its end."""

    resumed: dict[str, Any]
    ends: dict[str, tuple[int, str]]
    report: dict[str, Any]


@pytest.fixture(scope="module")
def finished(spec: SpecBuilder, folder: Path, broken: Broken) -> Finished:
    with group(spec, folder) as running:
        resumed = running.wait_for("resumed")
        ends = {name: running.end(name) for name in running.processes}
        return Finished(resumed, ends, running.report("chief 0"))


def test_a_killed_worker_does_not_end_the_training(stopped: Stopped) -> None:
    assert stopped.lost["message"].startswith("worker 0 is gone without a word")
    assert stopped.afterwards["epoch"] >= 1


def test_asked_to_stop_the_chief_saves_while_the_parameter_server_waits_for_it(stopped: Stopped) -> None:
    assert stopped.ends == {
        "chief 0": (EXIT_STOPPED, "Stopped"),
        "ps 0": (EXIT_STOPPED, "Stopped"),
        "worker 1": (EXIT_PEER_LOST, "PeerLost"),
    }
    assert stopped.report["lastCheckpoint"]["step"] == stopped.report["steps"] > 0


def test_a_killed_parameter_server_ends_all_to_start_again_from_the_last_checkpoint(
    stopped: Stopped, broken: Broken
) -> None:
    assert broken.resumed["step"] == stopped.report["steps"]
    assert broken.ends == dict.fromkeys(("chief 0", "worker 0"), (EXIT_PEER_LOST, "PeerLost"))
    assert broken.report["message"].startswith("parameter server 0 is gone without a word")


def test_what_was_restarted_is_trained_to_its_end_and_exported_by_the_chief_alone(
    broken: Broken, finished: Finished, folder: Path
) -> None:
    assert finished.resumed["step"] == broken.report["lastCheckpoint"]["step"]
    assert finished.ends == {
        "chief 0": (EXIT_DONE, "MaxEpochs"),
        "worker 0": (EXIT_DONE, "Served"),
        "ps 0": (EXIT_DONE, "Served"),
    }
    assert finished.report["metrics"]["val_accuracy"] > 0.9
    assert finished.report["steps"] == EPOCHS * 9
    manifest = json.loads((folder / "store" / "sample" / "1" / "trainyard.json").read_text())
    assert manifest["training"]["strategy"] == "ParameterServer"
    assert manifest["training"]["devices"] == "1 asynchronous worker(s) with CPU each, and 1 parameter server(s)"
    assert not list(folder.glob("*/store")), "only the chief writes"
