"""Batching: requests that come at the same time are computed together, as `--enable_batching` has it.

The first request of a batch waits for others and computes for all of them; so there are no threads beyond those that
answer requests.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from .config import read_text_proto
from .errors import Code, ServingError, invalid_argument, unimplemented
from .model import Model
from .protos import batching_parameters

DEFAULT_SIZE: Final = 1000
DEFAULT_QUEUE: Final = 10


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a text BatchingParameters says."""

    max_batch_size: int = DEFAULT_SIZE
    timeout_micros: int = 0
    max_enqueued_batches: int = DEFAULT_QUEUE
    threads: int = 1
    allowed_sizes: tuple[int, ...] = ()

    def padded(self, size: int) -> int:
        """The number of rows that a batch is filled up to."""
        return next((allowed for allowed in self.allowed_sizes if allowed >= size), size)


def read_parameters(file: str, *, cpus: int) -> Parameters:
    """Read a text BatchingParameters; no file means all defaults. Raises ServingError."""
    message = batching_parameters()
    if file:
        read_text_proto(file, message)
    if message.pad_variable_length_inputs or message.enable_large_batch_splitting.value:
        raise unimplemented("padding of inputs and splitting of batches are not offered by this server.")
    sizes = tuple(message.allowed_batch_sizes)
    size = message.max_batch_size.value if message.HasField("max_batch_size") else DEFAULT_SIZE
    if size < 1:
        raise invalid_argument(f"max_batch_size must be positive; was {size}")
    if any(later <= earlier for earlier, later in pairwise(sizes)):
        raise invalid_argument("allowed_batch_sizes entries must be monotonically increasing")
    if sizes and sizes[-1] != size:
        raise invalid_argument(
            f"last entry in allowed_batch_sizes must equal max_batch_size; last entry was {sizes[-1]}; expected {size}"
        )
    queue = message.max_enqueued_batches.value if message.HasField("max_enqueued_batches") else DEFAULT_QUEUE
    threads = message.num_batch_threads.value if message.HasField("num_batch_threads") else cpus
    return Parameters(size, message.batch_timeout_micros.value, queue, max(1, threads), sizes)


@dataclass(slots=True)
class _Batch:
    """Requests that are computed together; the first of them leads."""

    rows: int = 0
    tasks: list[Mapping[str, Any]] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    full: threading.Event = field(default_factory=threading.Event)
    results: list[list[Any]] = field(default_factory=list)
    error: ServingError | None = None


class Batcher:
    """Runs models on batches."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._lock = threading.Lock()
        self._open: dict[tuple[Any, ...], _Batch] = {}
        self._waiting = 0
        self._threads = threading.Semaphore(parameters.threads)

    def run(self, model: Model, feeds: Mapping[str, Any], fetches: Sequence[str], *, timed: bool) -> list[Any]:
        """As `Model.run`, together with others that ask for the same. Raises ServingError."""
        rows = _rows(feeds)
        if rows > self._parameters.max_batch_size:
            most = self._parameters.max_batch_size
            raise invalid_argument(f"Task size {rows} is larger than maximum input batch size {most}")
        # Rows of other shapes cannot be put together; here they wait for each other in queues of their own.
        shapes = tuple((name, array.dtype.str, array.shape[1:]) for name, array in feeds.items())
        key = (id(model), shapes, tuple(fetches), timed)
        batch, place, leads = self._join(key, rows, feeds)
        if leads:
            self._lead(key, batch, model, fetches, timed=timed)
        else:
            batch.done.wait()
        if batch.error is not None:
            raise batch.error
        return batch.results[place]

    def _join(self, key: tuple[Any, ...], rows: int, feeds: Mapping[str, Any]) -> tuple[_Batch, int, bool]:
        with self._lock:
            batch = self._open.get(key)
            if batch is not None and batch.rows + rows > self._parameters.max_batch_size:
                batch.full.set()
                batch = None
            leads = batch is None
            if batch is None:
                if self._waiting >= self._parameters.max_enqueued_batches:
                    raise ServingError(
                        Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                    )
                self._waiting += 1
                batch = self._open[key] = _Batch()
            batch.rows += rows
            batch.tasks.append(feeds)
            if batch.rows == self._parameters.max_batch_size:
                batch.full.set()
            return batch, len(batch.tasks) - 1, leads

    def _lead(self, key: tuple[Any, ...], batch: _Batch, model: Model, fetches: Sequence[str], *, timed: bool) -> None:
        try:
            deadline = time.monotonic() + self._parameters.timeout_micros / 1e6
            batch.full.wait(max(0.0, deadline - time.monotonic()))
            with self._threads:
                with self._lock:
                    # What comes from now on makes the next batch.
                    self._waiting -= 1
                    if self._open.get(key) is batch:
                        del self._open[key]
                batch.results = self._compute(batch, model, fetches, timed=timed)
        except ServingError as error:
            batch.error = error
        except Exception as error:
            batch.error = ServingError(Code.INTERNAL, str(error))
        finally:
            batch.done.set()

    def _compute(self, batch: _Batch, model: Model, fetches: Sequence[str], *, timed: bool) -> list[list[Any]]:
        size = self._parameters.padded(batch.rows)
        feeds = {name: _filled([task[name] for task in batch.tasks], size - batch.rows) for name in batch.tasks[0]}
        outputs = model.run(feeds, fetches, timed=timed)
        for output in outputs:
            if output.ndim == 0 or len(output) != size:
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors",
                )
        ends = np.cumsum([_rows(task) for task in batch.tasks])
        return [
            [output[end - _rows(task) : end] for output in outputs] for task, end in zip(batch.tasks, ends, strict=True)
        ]


def _rows(feeds: Mapping[str, Any]) -> int:
    sizes = {array.shape[0] if array.ndim else None for array in feeds.values()}
    if not sizes:
        raise invalid_argument("Batching session Run() must have at least one input tensor")
    if None in sizes:
        raise invalid_argument("Batching session Run() input tensors must have at least one dimension")
    if len(sizes) > 1:
        raise invalid_argument("Batching session Run() input tensors must have equal 0th-dimension size")
    return int(next(iter(sizes)) or 0)


def _filled(arrays: Sequence[Any], padding: int) -> Any:
    """The rows of all tasks, and the first one again as often as rows are missing."""
    padded = [*arrays, *([arrays[0][:1]] * padding if len(arrays[0]) else [])]
    return padded[0] if len(padded) == 1 else np.concatenate(padded)
