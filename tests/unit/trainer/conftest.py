"""What the trainer's tests share."""

import socket
from pathlib import Path

import pytest

from support.trainer_runs import write_table
from trainyard_trainer.devices import Devices


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> None:
    """Set TensorFlow up as the trainer does, before any test starts it otherwise."""
    Devices(seed=0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "table.csv")


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
