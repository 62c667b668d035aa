"""Processes are told apart by the node that started them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainyard_devcluster.strays import NODE_MARK, kill_marked, marked


@contextmanager
def a_process_of(node: str) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {NODE_MARK: node}
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], env=environment,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout
        process.stdout.readline()  # only now it is sure to have its own environment
        yield process
        process.kill()


@pytest.fixture
def nodes(tmp_path: Path) -> tuple[str, str]:
    """Two folders that no test beside this one has."""
    return str(tmp_path / "one"), str(tmp_path / "another")


def test_the_processes_of_one_node_are_found_and_those_of_another_are_not(nodes: tuple[str, str]) -> None:
    one, another = nodes
    with a_process_of(one) as own, a_process_of(another) as other:
        assert list(marked(NODE_MARK, one)) == [own.pid]
        assert list(marked(NODE_MARK, another)) == [other.pid]


def test_only_the_processes_of_one_node_are_killed(nodes: tuple[str, str]) -> None:
    one, another = nodes
    with a_process_of(one) as own, a_process_of(another) as other:
        assert kill_marked(NODE_MARK, one) == [own.pid]

        assert own.wait(10) < 0
        assert other.poll() is None
