"""The launcher: what it does when its parts do not do what they should."""

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from trainyard_devcluster.up import Cluster, PartError, main, parser


def test_a_part_that_ends_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.start("no_such_part")
    (part,) = cluster._parts
    part.process.wait(30)
    with pytest.raises(PartError, match="no_such_part ended with exit code 1") as caught:
        cluster.check()
    assert "No module named" in str(caught.value)


async def test_waiting_ends_with_the_part_that_is_waited_for(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.start("no_such_part")
    with pytest.raises(PartError):
        await cluster.wait_for_kubeconfig()
    await cluster.stop()


def test_a_folder_holds_one_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["--dir", str(tmp_path)]) == 1
    assert "another devcluster runs in" in capsys.readouterr().err


def test_options_after_two_dashes_are_the_nodes() -> None:
    options = parser().parse_args(["--gpus", "2", "--", "--images", "x.yaml"])
    assert (options.gpus, options.node_options) == (2, ["--images", "x.yaml"])


def test_the_command_says_how_it_is_used() -> None:
    command = [sys.executable, "-m", "trainyard_devcluster"]
    for words, code in ((["--help"], 0), ([], 2), (["nonsense"], 2)):
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == code
        assert "usage: python -m trainyard_devcluster up" in done.stdout + done.stderr
    done = subprocess.run([*command, "node", "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert "--pod-cidr" in done.stdout
