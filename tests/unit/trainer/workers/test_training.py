"""Two processes train one model: as one would, and when one of them is stopped, killed, or hangs."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from support.trainer_pairs import two_workers, write_rows
from support.trainer_runs import SpecBuilder, a_spec, run
from trainyard_api import names

EPOCHS = 60
LONG = 2_000


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> SpecBuilder:
    """A training with a short last batch, in which a worker has no row, and a sparse gradient."""
    return (
        a_spec(write_rows(tmp_path_factory.mktemp("data") / "rows.csv"))
        .with_data(validation={"fraction": 0.2})
        .with_keras(hidden=[8], l2=0.001)
        .with_fit(epochs=EPOCHS, batchSize=32, stopWhen={"noImprovement": {"metric": "val_loss", "epochs": EPOCHS}})
        .with_checkpoint(everySteps=20)
    )


@pytest.fixture(scope="module")
def together(spec: SpecBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of two workers that nothing disturbs."""
    folder = tmp_path_factory.mktemp("together")
    with two_workers(spec, folder) as pair:
        assert pair.codes() == [0, 0]
        assert pair.report(1)["model"] is None
    assert not (folder / "other" / "store").exists(), "only the chief writes"
    return folder


def weights(folder: Path) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(str(folder / "store" / "sample" / "1" / "variables" / "variables"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT" not in name}


def report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "termination-log").read_text()))


def test_two_workers_come_to_the_weights_and_numbers_of_one(spec: SpecBuilder, together: Path, tmp_path: Path) -> None:
    alone = run(spec, tmp_path)

    assert alone.report["steps"] == report(together)["steps"]
    assert alone.report["metrics"] == pytest.approx(report(together)["metrics"], abs=1e-5)
    one, two = weights(tmp_path), weights(together)
    for name, value in one.items():
        np.testing.assert_allclose(value, two[name], atol=1e-5, err_msg=name)


@pytest.mark.thorough
def test_stopped_at_one_worker_both_leave_at_one_step_and_the_resumed_training_ends_as_if_undisturbed(
    spec: SpecBuilder, together: Path, tmp_path: Path
) -> None:
    with two_workers(spec, tmp_path) as pair:
        pair.wait_for(0, "epoch")
        asked = time.monotonic()
        pair.processes[1].send_signal(signal.SIGTERM)
        assert pair.codes() == [names.EXIT_STOPPED] * 2
        assert time.monotonic() - asked < 20
        left = pair.report(0)
        assert (left["reason"], left["steps"]) == ("Stopped", pair.report(1)["steps"])
        assert left["lastCheckpoint"]["step"] == left["steps"]

    with two_workers(spec, tmp_path) as pair:
        assert pair.wait_for(1, "resumed")["step"] == left["steps"]
        assert pair.codes() == [0, 0]
    for name, value in weights(together).items():
        np.testing.assert_array_equal(value, weights(tmp_path)[name], err_msg=name)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("how", "says"), [(signal.SIGKILL, "worker 1 is gone"), (signal.SIGSTOP, "worker 1 has given no sign of life")]
)
def test_a_worker_that_is_killed_or_frozen_is_noticed_and_the_rest_ends_to_start_again(
    how: signal.Signals, says: str, spec: SpecBuilder, tmp_path: Path
) -> None:
    with two_workers(spec.with_fit(epochs=LONG).with_checkpoint(everySteps=5), tmp_path) as pair:
        for _ in range(2):  # by the second line a checkpoint of the first epoch is there
            pair.wait_for(0, "epoch")
        os.kill(pair.processes[1].pid, how)
        pair.processes[0].communicate(timeout=60)

        assert pair.processes[0].returncode == names.EXIT_PEER_LOST
        assert pair.report(0)["reason"] == "PeerLost"
        assert says in pair.report(0)["message"]
        assert pair.report(0)["lastCheckpoint"]["step"] > 0


@pytest.mark.thorough
def test_a_chief_that_is_killed_is_noticed_and_both_started_again_end_as_if_undisturbed(
    spec: SpecBuilder, together: Path, tmp_path: Path
) -> None:
    with two_workers(spec, tmp_path) as pair:
        for _ in range(2):  # by the second line a checkpoint of the first epochs is there
            pair.wait_for(0, "epoch")
        pair.processes[0].kill()
        pair.processes[1].communicate(timeout=60)
        assert pair.processes[1].returncode == names.EXIT_PEER_LOST
        assert pair.report(1)["reason"] == "PeerLost"
        assert "worker 0 is gone" in pair.report(1)["message"]

    with two_workers(spec, tmp_path) as pair:
        assert pair.wait_for(1, "resumed")["step"] > 0
        assert pair.codes() == [0, 0]
    assert report(tmp_path)["steps"] == report(together)["steps"]
    for name, value in weights(together).items():
        np.testing.assert_array_equal(value, weights(tmp_path)[name], err_msg=name)


def test_a_worker_that_never_comes_is_named_and_waiting_for_it_can_be_stopped(
    spec: SpecBuilder, tmp_path: Path
) -> None:
    with two_workers(spec, tmp_path, {names.STARTUP_TIMEOUT_ENV: "1"}) as pair:
        os.kill(pair.processes[1].pid, signal.SIGKILL)
        pair.processes[0].communicate(timeout=60)
        assert pair.processes[0].returncode == names.EXIT_PEER_LOST
        assert pair.report(0)["reason"] == "PeersMissing"
        assert "in vain for worker 1 (localhost:" in pair.report(0)["message"]

    with two_workers(spec, tmp_path) as pair:
        os.kill(pair.processes[0].pid, signal.SIGKILL)
        pair.wait_for(1, "meeting")
        pair.processes[1].send_signal(signal.SIGTERM)
        pair.processes[1].communicate(timeout=60)
        assert pair.processes[1].returncode == names.EXIT_STOPPED
