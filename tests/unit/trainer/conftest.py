"""What the trainer's tests share."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.trainer_runs import end_verifiers, write_table
from trainyard_trainer.devices import Devices


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> Iterator[None]:
    """Set TensorFlow up as the trainer does, before any test starts it otherwise."""
    Devices(seed=0)
    yield
    end_verifiers()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "table.csv")


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
