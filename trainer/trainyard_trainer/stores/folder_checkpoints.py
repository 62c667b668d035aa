"""Checkpoints that survive a crash at any moment: one file each, with a checksum, under its name only when complete."""

import hashlib
import io
import json
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from trainyard_trainer.errors import one_line
from trainyard_trainer.files import write_atomically
from trainyard_trainer.tensors import Array, Arrays

_MAGIC = b"TYCKPT1\n"
_LENGTH = struct.Struct("<Q")
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A training between two steps. `plan` tells trainings apart whose snapshots do not fit each other."""

    step: int
    plan: str
    state: Mapping[str, Any]
    arrays: Arrays


class CheckpointFolder:
    """The checkpoints of one training, newest last."""

    def __init__(self, path: Path, *, keep: int) -> None:
        self._path, self._keep = path, keep

    def save(self, snapshot: Snapshot) -> Path:
        """Write a checkpoint, then remove those beyond the number to keep.

        Raises:
            OSError: it could not be written; older ones are untouched.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        path = self._path / f"step-{snapshot.step:012d}.ckpt"
        try:
            write_atomically(path, lambda stream: _write(stream, snapshot))
        except OSError:
            path.with_name(f".{path.name}.tmp").unlink(missing_ok=True)
            raise
        for old in self._newest_first()[self._keep :]:
            old.unlink(missing_ok=True)
        return path

    def load_newest(self, plan: str, skipped: Callable[[Path, str], None]) -> tuple[Snapshot, Path] | None:
        """Return the newest checkpoint that is whole and fits the plan; `skipped` hears of others and why.

        Those are removed, or they would count among the ones to keep.
        """
        for path in self._newest_first():
            try:
                snapshot = from_bytes(path.read_bytes(), plan)
            except OSError as error:
                skipped(path, one_line(error))
            except ValueError as error:
                skipped(path, one_line(error))
                path.unlink(missing_ok=True)
            else:
                return snapshot, path
        return None

    def clear(self) -> None:
        """Remove all checkpoints, and the folders that are empty then."""
        for path in (*self._newest_first(), *self._path.glob(".*.tmp")):
            path.unlink(missing_ok=True)
        for folder in (self._path, self._path.parent):
            try:
                folder.rmdir()
            except OSError:
                return

    def _newest_first(self) -> list[Path]:
        return sorted(self._path.glob("step-*.ckpt"), reverse=True)


class BackgroundWriter:
    """Writes checkpoints while the training goes on. Where it falls behind, only the newest one counts."""

    def __init__(
        self,
        folder: CheckpointFolder,
        *,
        saved: Callable[[Snapshot, Path], None],
        failed: Callable[[Snapshot, OSError], None],
    ) -> None:
        self._folder, self._saved, self._failed = folder, saved, failed
        self._changed = threading.Condition()
        self._next: Snapshot | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
        self._thread.start()

    def submit(self, snapshot: Snapshot) -> None:
        """Have a snapshot written; its arrays must not change any more."""
        with self._changed:
            self._next = snapshot
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until everything handed in is written or has failed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        for snapshot in self._submitted():
            try:
                path = self._folder.save(snapshot)
            except OSError as error:
                self._failed(snapshot, error)
            else:
                self._saved(snapshot, path)

    def _submitted(self) -> Iterator[Snapshot]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next is not None or self._closing)
                snapshot, self._next = self._next, None
            if snapshot is None:
                return
            yield snapshot


def _write(stream: BinaryIO, snapshot: Snapshot) -> None:
    arrays = {name: np.ascontiguousarray(array) for name, array in snapshot.arrays.items()}
    header = json.dumps(
        {
            "step": snapshot.step,
            "plan": snapshot.plan,
            "state": snapshot.state,
            "arrays": [[name, array.dtype.name, np.shape(snapshot.arrays[name])] for name, array in arrays.items()],
        }
    ).encode()
    digest = hashlib.sha256()
    parts: list[bytes | memoryview] = [_MAGIC, _LENGTH.pack(len(header)), header, *map(_bytes, arrays.values())]
    for part in parts:
        stream.write(part)
        digest.update(part)
    stream.write(digest.digest())


def _bytes(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def to_bytes(snapshot: Snapshot) -> bytes:
    """Return a snapshot as a checkpoint's content."""
    stream = io.BytesIO()
    _write(stream, snapshot)
    return stream.getvalue()


def from_bytes(content: bytes, plan: str) -> Snapshot:
    """Return what a checkpoint holds.

    Raises:
        ValueError: it is damaged, or was written for another plan.
    """
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        raise ValueError("its checksum does not match: it is damaged or incomplete")
    start = len(_MAGIC) + _LENGTH.size
    end = start + _LENGTH.unpack(body[len(_MAGIC) : start])[0]
    header = json.loads(body[start:end])
    if header["plan"] != plan:
        raise ValueError("it was written for other data or settings")
    arrays = {}
    for name, dtype, shape in header["arrays"]:
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, kind, count, end).reshape(shape)
        end += count * kind.itemsize
    return Snapshot(header["step"], header["plan"], header["state"], arrays)
