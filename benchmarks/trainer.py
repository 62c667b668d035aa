"""The trainer's speed next to plain Keras: `python benchmarks/trainer.py [CASE ...]`.

One program runs `model.fit` as a user would write it, the other the trainer's whole loop with its reports, history and
checkpoints. They take turns, epoch by epoch, on the same rows with the same settings. The loss curves must agree, or
the trainer's be the better one where it is known why, or the speed means nothing.

Ends with exit code 1 where an interval reaches below what is wanted, or the losses differ.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cases import CASES, Case
from pairs import WARM_UP, Turn, in_turns, ratio

LOSS_TOLERANCE = 0.1


@dataclass(frozen=True)
class Settings:
    """What an arm does. `fit` are fields of the spec, `log` is where the trainer's log goes."""

    case: Case
    data: Path
    rounds: int
    batch_size: int
    fit: Mapping[str, Any] = field(default_factory=dict)
    log: Path = Path(os.devnull)


def keras_fit(connection: Connection, settings: Settings) -> None:
    """Train with `model.fit`."""
    import keras

    assert settings.case.keras is not None
    model, given = settings.case.keras(settings.data, settings.batch_size)
    turn = Turn(connection)
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: turn.take(), on_epoch_end=lambda epoch, logs: turn.give(logs["loss"])
    )
    model.fit(**given, epochs=settings.rounds, verbose=0, callbacks=[callback])


def trainer_loop(connection: Connection, settings: Settings) -> None:
    """Train with the trainer's loop, in a store of its own."""
    from trainyard_trainer.devices import Devices
    from trainyard_trainer.fitting import fit as fitting
    from trainyard_trainer.prepare import prepare
    from trainyard_trainer.reporting.event_log import EventLog
    from trainyard_trainer.reporting.progress_server import ProgressTracker, serve
    from trainyard_trainer.signals import StopSignal
    from trainyard_trainer.spec import read_run
    from trainyard_trainer.stores.folder_checkpoints import CheckpointFolder

    with tempfile.TemporaryDirectory() as folder, settings.log.open("w") as log:
        os.chdir(folder)
        Path("spec.json").write_text(json.dumps(job(settings)))
        run = read_run("spec.json", {})
        tracker, event_log, turn = ProgressTracker(), EventLog(log), Turn(connection)
        serve(tracker, 0)
        devices = Devices(run.job.spec.fit.seed)
        prepared = prepare(run, tracker=tracker, event_log=event_log)
        run = prepared.run
        rows = fitting.training_rows

        class InTurns:
            """The rows of an epoch, once it is this arm's turn; measuring before the first one is not a turn."""

            def __init__(self, *arguments: Any, **more: Any) -> None:
                self._rows = rows(*arguments, **more)

            def epoch(self, epoch: int, done: int) -> Iterator[Any]:
                if tracker.current.phase == "training":
                    turn.give(tracker.current.metrics.get("loss", 0.0))
                    if epoch == settings.rounds:
                        raise Enough
                    turn.take()
                yield from self._rows.epoch(epoch, done)

        fitting.training_rows = InTurns  # type: ignore[assignment,misc]
        with contextlib.suppress(Enough):
            fitting.fit(
                run,
                prepared,
                devices,
                checkpoints=CheckpointFolder(run.folders.checkpoints, keep=run.job.spec.checkpoint.keep),
                tracker=tracker,
                event_log=event_log,
                stop=StopSignal(leave=lambda: None),
            )


class Enough(Exception):
    """All rounds are over, though the spec has more epochs."""


def job(settings: Settings) -> dict[str, Any]:
    """Return the TrainingJob of a case."""
    case = settings.case
    source = {"source": {"uri": str(settings.data)}, "label": case.label, "validation": {"fraction": 0}}
    return {
        "kind": "TrainingJob",
        "metadata": {"name": "benchmark"},
        "spec": {
            "program": case.program,
            "data": source,
            "fit": {"epochs": settings.rounds + 1, "batchSize": settings.batch_size} | dict(settings.fit),
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }


ARMS = {"fit": keras_fit, "trainer": trainer_loop}


def compare(name: str, *, rounds: int, batch_size: int) -> bool:
    """Measure one case and say what came of it; returns whether it is good enough."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, name).with_suffix(case.suffix)
        case.write(data, case.rows)
        found = in_turns(ARMS, Settings(case, data, rounds, batch_size), rounds)
    faster = ratio(found["fit"].warm, found["trainer"].warm)
    higher = [(b - a) / a for a, b in zip(found["fit"].losses, found["trainer"].losses, strict=True)]
    apart = statistics.median(higher if case.may_learn_faster else map(abs, higher))
    print(f"{name}, batches of {batch_size}")
    for arm, each in found.items():
        print(f"  {arm:8} {case.rows / statistics.median(each.warm):10,.0f} samples/s (median epoch)")
    print(f"  trainer / fit: {faster}")
    print(
        f"  loss of the last epoch: fit {found['fit'].losses[-1]:.4f}, trainer {found['trainer'].losses[-1]:.4f}; "
        f"{apart:+.1%} apart"
    )
    good = faster.low >= case.at_least and apart <= LOSS_TOLERANCE
    print("  good" if good else f"  NOT GOOD: expected a ratio of at least {case.at_least} and losses that agree")
    return good


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure the trainer's loop against plain Keras.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"by default all: {', '.join(CASES)}")
    parser.add_argument("--rounds", type=int, default=15, help=f"epochs; the first {WARM_UP} do not count")
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    good = [
        compare(name, rounds=arguments.rounds, batch_size=arguments.batch_size) for name in arguments.cases or CASES
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
