"""The history of a training whose disk is full for a while."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from support.full_disk import no_file_beyond
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.history import HISTORY_FILE, HistoryFile


def a_history(folder: Path) -> tuple[HistoryFile, io.StringIO]:
    log = io.StringIO()
    return HistoryFile(folder, ("loss",), EventLog(log)), log


def add(history: HistoryFile, *epochs: int) -> None:
    for epoch in epochs:
        history.add(epoch, steps=epoch, seconds=1.0, metrics={"loss": 1 / epoch})


def rows(folder: Path) -> list[tuple[int, float]]:
    with (folder / HISTORY_FILE).open(newline="") as stream:
        return [(int(row["epoch"]), float(row["loss"])) for row in csv.DictReader(stream)]


def drawn(folder: Path) -> list[int]:
    (file,) = (folder / "train").glob("events*")
    return [each.step for each in tf.compat.v1.train.summary_iterator(str(file)) if each.summary.value]


def events(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("size", [0, 3, 20])
def test_a_history_that_cannot_be_begun_is_begun_with_the_first_epoch_that_fits(size: int, tmp_path: Path) -> None:
    history, log = a_history(tmp_path)

    with no_file_beyond(size):
        history.resume(0)
        add(history, 1)
    add(history, 2, 3)
    history.close()

    assert rows(tmp_path) == [(2, pytest.approx(1 / 2)), (3, pytest.approx(1 / 3))]
    assert drawn(tmp_path)[-1] == 3
    (told,) = events(log)
    assert told["event"] == "history-failed"
    assert told["message"].startswith("the history is not complete: ")


def test_a_full_disk_at_a_resume_loses_no_epoch_that_was_there_and_repeats_none(tmp_path: Path) -> None:
    first, _ = a_history(tmp_path)
    first.resume(0)
    add(first, 1, 2, 3)
    first.close()
    again, log = a_history(tmp_path)

    with no_file_beyond(30):
        again.resume(2)
    assert [epoch for epoch, _ in rows(tmp_path)] == [1, 2, 3]
    add(again, 3, 4)
    again.close()

    assert [epoch for epoch, _ in rows(tmp_path)] == [1, 2, 3, 4]
    assert drawn(tmp_path) == sorted(set(drawn(tmp_path)))
    assert len(events(log)) == 1
