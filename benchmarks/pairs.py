"""Two programs measured against each other: in turns, because a machine's speed drifts, and judged by their ratio.

Each is a process of its own, set up as it would be in real use. They take turns in an order that flips each round. What
counts is the ratio within a round; its median comes with a 95 % bootstrap interval.
"""

import contextlib
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

WARM_UP = 2
"""Rounds that trace and warm up, and do not count."""


class Turn:
    """Waits for this arm's turn before each epoch, and tells when it is over and with which loss."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._began: float | None = None

    def take(self) -> None:
        """Wait for the turn."""
        self._connection.send(None)
        self._connection.recv()
        self._began = time.perf_counter()

    def give(self, loss: float) -> None:
        """Tell how long the epoch took, and its loss."""
        if self._began is not None:
            self._connection.send((time.perf_counter() - self._began, loss))


@dataclass(frozen=True)
class Measured:
    """Seconds and loss of every epoch of one arm."""

    seconds: list[float]
    losses: list[float]

    @property
    def warm(self) -> list[float]:
        """Seconds of the rounds that count."""
        return self.seconds[WARM_UP:]


Arm = Callable[[Connection, Any], None]
"""One of the programs: takes its turns over the connection. The settings are what `in_turns` was given."""


def in_turns(arms: Mapping[str, Arm], settings: Any, rounds: int) -> dict[str, Measured]:
    """Run all arms, round by round in turns."""
    context = multiprocessing.get_context("spawn")
    found = {name: Measured([], []) for name in arms}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with contextlib.ExitStack() as stack:
        connections = {}
        for name, arm in arms.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=arm, args=(theirs, settings), daemon=True)
            process.start()
            stack.callback(process.join, 60)
            connections[name] = ours
        for number in range(rounds):
            for name in list(arms)[:: 1 if number % 2 else -1]:
                connection = connections[name]
                connection.recv()
                connection.send("go")
                seconds, loss = connection.recv()
                found[name].seconds.append(seconds)
                found[name].losses.append(loss)
    return found


@dataclass(frozen=True)
class Ratio:
    """How many times as fast: the median of all rounds, and the 95 % interval around it."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}] over {self.rounds} rounds"


def ratio(slower: list[float], faster: list[float]) -> Ratio:
    """Compare the seconds of two arms, round by round."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    return Ratio(statistics.median(ratios), *interval(ratios), len(ratios))


def interval(ratios: list[float], draws: int = 10_000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a median."""
    rng = np.random.default_rng(1)
    medians = np.median(rng.choice(np.array(ratios), size=(draws, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)
