"""The devcluster as a whole: it starts, it ends, and nothing of it is left, however it ends."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.devcluster import start, wait_until_ready
from support.kube_api import Api, connect
from support.manifests import a_pod, a_shell
from support.processes import running

pytestmark = pytest.mark.skipif(bool(os.environ.get("KUBECONFIG")), reason="another cluster is under test")


class Launched:
    """A devcluster with one pod that would run for ever."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = start(folder, [])
        self.kubeconfig = wait_until_ready(folder, self.process)
        marker = folder / "pid"
        # A child that leaves its parent's session is the hardest to find again.
        stray = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
        script = f"python3 -c '{stray}' > {marker} & exec sleep 600"
        with connect(self.kubeconfig) as client:
            api = Api(client, "default")
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            api.wait_for(account, bool)
            api.create(a_pod(a_shell(script)))
            api.wait_for(a_pod(), lambda pod: pod.get("status", {}).get("phase") == "Running")
        _until(lambda: marker.exists() and marker.read_text().strip())
        self.pids = [self.process.pid, *_descendants(self.process.pid), int(marker.read_text())]

    def pid_of(self, part: str) -> int:
        """The process of one part."""
        return next(pid for pid in self.pids if f"trainyard_devcluster.{part}" in _command(pid))

    def assert_nothing_is_left(self) -> None:
        """Wait until every process that it ever had is gone."""
        _until(lambda: not any(running(pid) for pid in self.pids))


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Launched]:
    cluster = Launched(tmp_path)
    yield cluster
    cluster.process.kill()
    cluster.process.wait(30)


def test_a_signal_ends_it_in_good_order(launched: Launched) -> None:
    launched.process.terminate()
    assert launched.process.wait(30) == 0
    launched.assert_nothing_is_left()


def test_nothing_outlives_a_launcher_that_was_killed(launched: Launched) -> None:
    launched.process.kill()
    launched.process.wait(30)
    launched.assert_nothing_is_left()


@pytest.mark.parametrize("part", ["apiserver", "node"])
def test_a_part_that_dies_takes_the_rest_with_it_and_is_named(launched: Launched, part: str) -> None:
    os.kill(launched.pid_of(part), signal.SIGKILL)
    assert launched.process.wait(30) == 1
    output = (launched.folder / "up.log").read_text()
    assert f"{part} ended with exit code -9" in output
    launched.assert_nothing_is_left()


def test_a_folder_can_be_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        process = start(tmp_path, [])
        wait_until_ready(tmp_path, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_two_clusters_keep_out_of_each_others_way(launched: Launched, tmp_path: Path) -> None:
    other = Launched(tmp_path / "other")
    try:
        addresses = []
        for cluster in (launched, other):
            with connect(cluster.kubeconfig) as client:
                pod = Api(client, "default").get(a_pod())
                assert pod is not None
                addresses.append(pod["status"]["podIP"])
        assert addresses[0] != addresses[1]
    finally:
        other.process.terminate()
        other.process.wait(30)


def _until(holds: object, seconds: float = 15) -> None:
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _descendants(pid: int) -> list[int]:
    children = [int(word) for word in _children(pid)]
    return children + [each for child in children for each in _descendants(child)]


def _children(pid: int) -> list[str]:
    words: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        words += (task / "children").read_text().split()
    return words


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
