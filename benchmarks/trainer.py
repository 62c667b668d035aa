"""The trainer's speed next to plain Keras on the dense-100 network: `python benchmarks/trainer.py`.

Two processes, each set up as it would be in real use: one runs `model.fit` as a user would write it, the other the
trainer's whole loop with its reports, history and checkpoints. They take turns, epoch by epoch, in an order that flips
each round, on the same rows with the same settings. What counts is the ratio within a round, because a machine's speed
drifts between rounds; its median comes with a 95 % bootstrap interval. The loss curves must agree, or the speed means
nothing.

Ends with exit code 1 where the interval reaches below `--at-least`, or the losses differ.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLE = Path(__file__).parents[1] / "examples" / "dense-100"
LOSS_TOLERANCE = 0.1


@dataclass(frozen=True)
class Settings:
    """What both arms do."""

    data: Path
    rounds: int
    batch_size: int


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


def keras_fit(connection: Connection, settings: Settings) -> None:
    """Train with `model.fit`."""
    import keras
    import pyarrow.parquet as pq

    table = pq.read_table(settings.data)
    x = np.stack([column.to_numpy() for column in table.drop_columns(["label"]).columns], axis=1)
    y = table["label"].to_numpy().astype(np.float32)
    model = keras.Sequential(
        [
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    turn = Turn(connection)
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: turn.take(), on_epoch_end=lambda epoch, logs: turn.give(logs["loss"])
    )
    model.fit(x, y, batch_size=settings.batch_size, epochs=settings.rounds, verbose=0, callbacks=[callback])


def trainer_loop(connection: Connection, settings: Settings) -> None:
    """Train with the trainer's loop, in a store of its own."""
    from trainyard_trainer import fitting
    from trainyard_trainer.checkpoint import CheckpointFolder
    from trainyard_trainer.devices import Devices
    from trainyard_trainer.journal import Journal
    from trainyard_trainer.prepare import prepare
    from trainyard_trainer.progress import ProgressBoard, serve
    from trainyard_trainer.signals import StopSignal
    from trainyard_trainer.spec import read_document, read_run

    document = read_document(EXAMPLE / "trainingjob.yaml")
    document["spec"]["data"] |= {"source": {"uri": str(settings.data)}, "validation": {"fraction": 0}}
    document["spec"]["fit"] |= {"epochs": settings.rounds, "batchSize": settings.batch_size}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("spec.json").write_text(json.dumps(document))
        run = read_run("spec.json", {})
        board, journal, turn = ProgressBoard(), Journal(io.StringIO()), Turn(connection)
        serve(board, 0)
        prepared = prepare(run, board=board, journal=journal)
        devices = Devices(run.job.spec.fit.seed)
        rows = fitting.training_rows

        class InTurns:
            """The rows of an epoch, once it is this arm's turn."""

            def __init__(self, *arguments: Any) -> None:
                self._rows = rows(*arguments)

            def epoch(self, epoch: int, done: int) -> Iterator[Any]:
                turn.give(board.current.metrics.get("loss", 0.0))
                turn.take()
                yield from self._rows.epoch(epoch, done)

        fitting.training_rows = InTurns  # type: ignore[assignment,misc]
        fitting.fit(
            run,
            prepared,
            devices,
            checkpoints=CheckpointFolder(run.folders.checkpoints, keep=run.job.spec.checkpoint.keep),
            board=board,
            journal=journal,
            stop=StopSignal(leave=lambda: None),
        )
        turn.give(board.current.metrics["loss"])


ARMS: dict[str, Callable[[Connection, Settings], None]] = {"fit": keras_fit, "trainer": trainer_loop}


@dataclass(frozen=True)
class Measured:
    """Seconds and loss of every epoch of one arm."""

    seconds: list[float]
    losses: list[float]


def measure(settings: Settings) -> dict[str, Measured]:
    """Run both arms, epoch by epoch in turns."""
    context = multiprocessing.get_context("spawn")
    found = {name: Measured([], []) for name in ARMS}
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with contextlib.ExitStack() as stack:
        connections = {}
        for name, arm in ARMS.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=arm, args=(theirs, settings), daemon=True)
            process.start()
            stack.callback(process.join, 60)
            connections[name] = ours
        for number in range(settings.rounds):
            for name in list(ARMS)[:: 1 if number % 2 else -1]:
                connection = connections[name]
                connection.recv()
                connection.send("go")
                seconds, loss = connection.recv()
                found[name].seconds.append(seconds)
                found[name].losses.append(loss)
    return found


def interval(ratios: list[float], draws: int = 10_000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a median."""
    rng = np.random.default_rng(1)
    medians = np.median(rng.choice(np.array(ratios), size=(draws, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return float(low), float(high)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure the trainer's loop against plain Keras.")
    parser.add_argument("--rows", type=int, default=32_768)
    parser.add_argument(
        "--rounds", type=int, default=15, help="epochs; the first two, which trace and warm up, are left out"
    )
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--at-least", type=float, default=1.0, help="lowest ratio that is good enough")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "dense-100.parquet")
        generator = _generator()
        generator.write(generator.generate(arguments.rows, 42), data)
        found = measure(Settings(data, arguments.rounds, arguments.batch_size))

    warm = {name: each.seconds[2:] for name, each in found.items()}
    ratios = [fit / ours for fit, ours in zip(warm["fit"], warm["trainer"], strict=True)]
    low, high = interval(ratios)
    apart = [abs(b - a) / a for a, b in zip(found["fit"].losses, found["trainer"].losses, strict=True)]
    for name, seconds in warm.items():
        print(f"{name:8} {arguments.rows / statistics.median(seconds):10,.0f} samples/s (median epoch)")
    print(f"trainer / fit: {statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}] over {len(ratios)} rounds")
    print(
        f"loss of the last epoch: fit {found['fit'].losses[-1]:.4f}, trainer {found['trainer'].losses[-1]:.4f}; "
        f"{statistics.mean(apart):.1%} apart on average"
    )
    good = low >= arguments.at_least and statistics.mean(apart) <= LOSS_TOLERANCE
    print("good" if good else f"NOT GOOD: expected a ratio of at least {arguments.at_least} and losses that agree")
    return 0 if good else 1


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", EXAMPLE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
