"""Data sets for the trainer's tests."""

import csv
import socket
from pathlib import Path

import numpy as np
import pytest

from trainyard_trainer.devices import Devices


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> None:
    """Set TensorFlow up as the trainer does, before any test starts it otherwise."""
    Devices(seed=0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 rows with numbers, a number that is missing at times, a text column, and a label that follows from them."""
    rng = np.random.default_rng(7)
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["size", "weight", "colour", "count", "label"])
        for row in range(120):
            size, weight = rng.normal(size=2)
            colour = ["red", "green", "blue"][row % 3]
            good = size + (colour == "red") > 0.3
            shown = "" if row % 10 == 3 else f"{weight:.4f}"
            writer.writerow([f"{size:.4f}", shown, colour, row, "good" if good else "bad"])
    return path


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
