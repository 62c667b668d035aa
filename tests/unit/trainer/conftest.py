"""What the trainer's tests share."""

import contextlib
import random
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
    """A port below those that Linux gives to connections, so that nobody takes it by chance."""
    for port in random.SystemRandom().sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("none of a hundred ports is free")
