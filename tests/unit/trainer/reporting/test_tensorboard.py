"""What TensorBoard is shown, read with TensorFlow's own iterator."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from trainyard_trainer.reporting.tensorboard import TensorBoardLog

METRICS = {"learning_rate": 0.1, "loss": 0.5, "val_loss": 0.75}


class Clock:
    """Goes on by a millisecond whenever it is looked at."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def a_log(folder: Path, *, resumed_at: int = 0) -> tuple[TensorBoardLog, Clock]:
    clock = Clock()
    log = TensorBoardLog(folder, clock)
    log.resume(resumed_at)
    return log, clock


def curves(folder: Path, run: str) -> dict[str, list[tuple[int, float]]]:
    (file,) = (folder / run).iterdir()
    found: dict[str, list[Any]] = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, pytest.approx(value.simple_value)))
    return found


def test_training_and_validation_are_two_runs_of_the_same_scalars(tmp_path: Path) -> None:
    log, _clock = a_log(tmp_path)
    log.add(1, METRICS)
    log.close()

    assert curves(tmp_path, "train") == {"epoch_learning_rate": [(1, 0.1)], "epoch_loss": [(1, 0.5)]}
    assert curves(tmp_path, "validation") == {"epoch_loss": [(1, 0.75)]}


def test_epochs_that_follow_too_soon_are_left_out_but_never_the_last(tmp_path: Path) -> None:
    log, clock = a_log(tmp_path)
    for epoch in range(1, 31):
        log.add(epoch, {"loss": 1.0 / epoch})
    clock.now += 1
    log.add(31, {"loss": 0.0})
    log.add(32, {"loss": 2.0})
    log.close()

    assert [step for step, _ in curves(tmp_path, "train")["epoch_loss"]] == [1, 31, 32]


def test_a_resumed_training_replaces_the_epochs_it_repeats(tmp_path: Path) -> None:
    log, clock = a_log(tmp_path)
    for epoch in (1, 2, 3):
        log.add(epoch, {"loss": 1.0})
        clock.now += 10
    (file,) = (tmp_path / "train").iterdir()
    file.write_bytes(file.read_bytes()[:-5])  # killed while it wrote the third

    log, clock = a_log(tmp_path, resumed_at=1)
    for epoch in (2, 3):
        log.add(epoch, {"loss": 2.0})
        clock.now += 10
    log.close()

    assert curves(tmp_path, "train")["epoch_loss"] == [(1, 1.0), (2, 2.0), (3, 2.0)]


def test_a_new_training_starts_with_empty_curves(tmp_path: Path) -> None:
    log, _clock = a_log(tmp_path)
    log.add(1, METRICS)
    log.close()
    a_log(tmp_path)[0].close()

    assert curves(tmp_path, "train") == {}
