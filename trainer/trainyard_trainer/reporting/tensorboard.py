"""The metrics of the epochs for TensorBoard, laid out as Keras' own callback does.

A run `train` and a run `validation`, whose scalars are named `epoch_loss` and so on, so that TensorBoard draws the two
loss curves into one chart. An event file is a TFRecord file of Event messages
(https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto); it is written without
TensorFlow's summary writer, which cannot take back the epochs that a resumed training repeats.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import tensorflow as tf

_FILE = "events.out.tfevents.trainyard"
_SHARE = 100
"""Writing takes at most one part in so many of the time."""
_POINTS = 1000
"""TensorBoard shows so many points of a curve: points come no closer than a part in so many of the time so far."""


class TensorBoardLog:
    """Writes an epoch now and then, the newest when it is closed."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._runs = {"train": _EventFile(folder / "train"), "validation": _EventFile(folder / "validation")}
        self._started = self._due = clock()
        self._left_out: tuple[int, Mapping[str, float]] | None = None

    def resume(self, epoch: int) -> None:
        """Keep the first `epoch` epochs only."""
        for run in self._runs.values():
            run.open(epoch)

    def add(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of an epoch if it is time to; those named `val_...` belong to the run `validation`."""
        began = self._clock()
        if began < self._due:
            self._left_out = (epoch, metrics)
            return
        self._write(epoch, metrics)
        now = self._clock()
        self._due = now + max(_SHARE * (now - began), (now - self._started) / _POINTS)

    def close(self) -> None:
        """Write the newest epoch if it was left out."""
        if self._left_out:
            self._write(*self._left_out)
        for run in self._runs.values():
            run.close()

    def _write(self, epoch: int, metrics: Mapping[str, float]) -> None:
        validation = {name: value for name, value in metrics.items() if name.startswith("val_")}
        training = {name: value for name, value in metrics.items() if name not in validation}
        for run, values in (("train", training), ("validation", validation)):
            if values:
                self._runs[run].add(epoch, {f"epoch_{name.removeprefix('val_')}": v for name, v in values.items()})
        self._left_out = None


class _EventFile:
    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._writer: tf.io.TFRecordWriter | None = None
        self._begun_at = 0

    def open(self, epoch: int) -> None:
        """Begin the file with what it has of the first `epoch` epochs; where that fails, the next `add` tries again."""
        self._writer, self._begun_at = None, epoch
        kept = [event for event in self._events() if event.step <= epoch and event.summary.value] if epoch else []
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(".rewritten")
        writer = tf.io.TFRecordWriter(str(temporary))
        for event in [tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2"), *kept]:
            writer.write(event.SerializeToString())
        writer.flush()
        temporary.replace(self._path)
        self._writer = writer

    def _events(self) -> Iterator[tf.compat.v1.Event]:
        try:
            yield from (
                tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(self._path))
            )
        except (tf.errors.NotFoundError, tf.errors.DataLossError):
            return  # There is none, or a kill left half of the last event.

    def add(self, step: int, values: Mapping[str, float]) -> None:
        summary = tf.compat.v1.Summary(
            value=[tf.compat.v1.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        )
        if self._writer is None:
            self.open(self._begun_at)
        assert self._writer is not None
        event = tf.compat.v1.Event(wall_time=time.time(), step=step, summary=summary)
        self._writer.write(event.SerializeToString())
        self._writer.flush()

    def close(self) -> None:
        if self._writer:
            self._writer.close()
