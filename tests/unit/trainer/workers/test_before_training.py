"""Workers that are stopped, or die, before the first step: while TensorFlow connects, and while data is read."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.trainer_pairs import tf_configs, two_workers
from support.trainer_runs import SpecBuilder, a_spec, environment, start
from trainyard_api import names

pytestmark = pytest.mark.thorough

SLOW = """
import json, os, time

os.write(1, json.dumps({"event": "slow"}).encode() + b"\\n")  # what is printed goes to stderr
time.sleep(600)
"""
DYING = """
import os, signal, sys

from trainyard_trainer.spec import read_run, terms
from trainyard_trainer.workers.rendezvous import Invitation, join_group

run = read_run(sys.argv[1], os.environ)
rendezvous = join_group(run.cluster, Invitation(terms(run), run.job.metadata["uid"]), seconds=60, abandon=print)
for handed_in in (False, 1 << 30):  # whether it was trained before, and the memory for data
    rendezvous.group.gather(handed_in)
with rendezvous.connecting():
    os.kill(os.getpid(), signal.SIGKILL)
"""
NOTICED_SECONDS = 20.0
"""Three seconds, and what a busy machine adds; TensorFlow alone would take a minute."""


@pytest.fixture
def code(tmp_path: Path) -> dict[str, str]:
    """The environment of a program of a user's own, whose import takes its time."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "slow_model.py").write_text(SLOW)
    return {names.CODE_DIR_ENV: str(folder)}


@pytest.fixture
def spec(table: Path) -> SpecBuilder:
    program = {"entryPoint": "slow_model:build", "task": "binaryClassification"}
    return a_spec(table).with_program(python=program | {"source": {"configMap": {"name": "code"}}})


def test_asked_to_stop_while_the_program_is_loaded_a_worker_leaves_at_once_and_the_other_may_start_again(
    spec: SpecBuilder, code: dict[str, str], tmp_path: Path
) -> None:
    with two_workers(spec, tmp_path, code) as pair:
        for worker in (0, 1):
            pair.wait_for(worker, "slow")
        pair.processes[1].send_signal(signal.SIGTERM)
        assert pair.codes() == [names.EXIT_PEER_LOST, names.EXIT_STOPPED]

        assert pair.report(1)["reason"] == "Stopped"
        assert "worker 1 has ended: Stopped" in pair.report(0)["message"]


@contextmanager
def a_dying_worker(spec: Path, folder: Path, config: str, code: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Start a worker that is killed in the moment in which it would start TensorFlow's server."""
    environ = os.environ | environment(folder) | code | {"TF_CONFIG": config}
    with subprocess.Popen([sys.executable, "-c", DYING, str(spec)], env=environ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("dying", [0, 1], ids=["the chief", "worker 1"])
def test_a_worker_that_dies_while_tensorflow_connects_is_noticed_and_the_other_ends_to_start_again(
    dying: int, spec: SpecBuilder, code: dict[str, str], tmp_path: Path
) -> None:
    configs = tf_configs(2)
    path = spec.write(tmp_path)
    with (
        a_dying_worker(path, tmp_path, configs[dying], code) as dead,
        start(spec, tmp_path, code | {"TF_CONFIG": configs[1 - dying]}) as left,
    ):
        assert dead.wait(180) == -signal.SIGKILL
        died = time.monotonic()
        _, stderr = left.communicate(timeout=180)
        took = time.monotonic() - died

    report = json.loads((tmp_path / "termination-log").read_text())
    assert left.returncode == names.EXIT_PEER_LOST
    assert report["reason"] == "PeerLost"
    assert f"worker {dying} is gone" in report["message"]
    assert f"PeerLost: worker {dying} is gone" in stderr
    assert took < NOTICED_SECONDS
