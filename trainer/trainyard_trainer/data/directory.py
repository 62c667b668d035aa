"""A folder for each class, with images, texts or WAV files in it."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.bad_rows import BadRows
from trainyard_trainer.data.held_back import Split
from trainyard_trainer.data.labels import class_name
from trainyard_trainer.data.numerals import is_number
from trainyard_trainer.data.parts import Sources
from trainyard_trainer.data.readers import Shard
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.schema import Found, Schema, choose
from trainyard_trainer.data.source import Source, SourceFile
from trainyard_trainer.data.table import BATCH_ROWS, RawBatch
from trainyard_trainer.errors import BadInput, listed

SHARD_FILES = 128
_READERS = 16
"""Files read at a time: what costs time with small files in a remote store is the wait for each."""


@dataclass(frozen=True, slots=True)
class _FileKind:
    feature: str
    holds: Literal["bytes", "text"]
    suffixes: tuple[str, ...]


_KINDS = (
    _FileKind("image", "bytes", (".png", ".jpg", ".jpeg", ".bmp", ".gif")),
    _FileKind("text", "text", (".txt",)),
    _FileKind("audio", "bytes", (".wav",)),
)


class DirectoryTable:
    """One row a file: what is in it, and the name of its folder as the label.

    The files come in an order drawn from their names, so that each piece of the data has all classes in it.

    Raises:
        BadInput: a file is not in the folder of a class, or is not of the one kind that the others are.
    """

    def __init__(
        self, source: Source, *, label: str, features: Sequence[str] | None, reading: Reading | None = None
    ) -> None:
        reading = reading or Reading()
        self.sources = Sources(source, reading.validation, reading.test)
        self.bad_rows = BadRows(reading.max_bad_rows)
        self.split: Split | None = None
        self._kind = _kind_of(self.sources)
        folders = {_folder(file) for file, _ in self.sources.files}
        numbers = all(is_number(folder) and class_name(float(folder)) == folder for folder in folders)
        kinds = {self._kind.feature: self._kind.holds, label: "number" if numbers else "text"}
        self.schema: Schema = choose(Found(kinds, source.location), reading, label=label, wanted=features)

    def shards(self) -> list[Shard]:
        """Return the files in groups, in a fixed order: those of other folders come last."""
        return [shard for _, source in self.sources for shard in _shards(source.files)]

    def read(self, shard: Shard, *, batch_rows: int = BATCH_ROWS) -> Iterator[RawBatch]:
        """Yield the files of a group, at most `batch_rows` at a time, without those known to be bad.

        Raises:
            BadInput: more files are bad than may be left out.
        """
        good = [each for each in shard.fragment if (each.name, None) not in self.bad_rows]
        first_row = 0
        with ThreadPoolExecutor(_READERS) as pool:
            for begin in range(0, len(good), batch_rows):
                files = good[begin : begin + batch_rows]
                raw = self._rows(files, first_row, list(pool.map(self._content, files)))
                if len(raw):
                    yield raw
                    first_row += len(raw)

    def _content(self, file: SourceFile) -> bytes:
        source = self.sources.source(file)
        with source.filesystem.open_input_stream(file.path, compression=None) as stream:
            return bytes(stream.read())

    def _rows(self, files: Sequence[SourceFile], first_row: int, contents: list[bytes]) -> RawBatch:
        label = pa.array([_folder(each) for each in files], pa.string())
        text = self._kind.holds == "text"
        texts, bad = _decoded(contents) if text else ((), {})
        raw = RawBatch(
            file=self.sources.training.location,
            first_row=first_row,
            numbers=np.zeros((len(files), 0), np.float32),
            texts=texts,
            label=label if self.schema.label.kind == "text" else pc.cast(label, pa.float64()),
            media={} if text else {self._kind.feature: pa.array(contents, pa.binary())},
            files=tuple(each.name for each in files),
            held_back=self.sources.held_back(files[0], len(files)),
            tested=self.sources.tested(files[0], len(files)),
        )
        self.bad_rows.add(raw.bad(bad))
        return raw.without(bad) if bad else raw


def _shards(of: Sequence[SourceFile]) -> list[Shard]:
    files = sorted(of, key=lambda each: hashlib.sha256(each.name.encode()).digest())
    groups = [tuple(files[i : i + SHARD_FILES]) for i in range(0, len(files), SHARD_FILES)]
    return [Shard(group[0], group, sum(each.size for each in group)) for group in groups]


def _decoded(contents: Sequence[bytes]) -> tuple[tuple[pa.Array], dict[int, str]]:
    """Return the column of texts, and what is wrong with those that are none."""
    bad = {row: "not a text in UTF-8" for row, each in enumerate(contents) if not _is_utf8(each)}
    texts = [None if row in bad else each.decode("utf-8-sig") for row, each in enumerate(contents)]
    return (pa.array(texts, pa.string()),), bad


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _folder(file: SourceFile) -> str:
    return PurePosixPath(file.name).parts[-2]


def _kind_of(sources: Sources) -> _FileKind:
    found: dict[str, str] = {}
    for file, part in sources.files:
        path = PurePosixPath(file.name)
        # The names of files to validate or to test with begin with the folder that holds their classes.
        if len(path.parts) != (2 if part == "training" else 3):
            raise BadInput(
                f"{file.name} is not in the folder of a class: format directory expects "
                f"<folder>/<class>/<file> and nothing above or below; move or remove it"
            )
        found.setdefault(path.suffix.lower(), file.name)
    for suffix, name in found.items():
        if not any(suffix in kind.suffixes for kind in _KINDS):
            known = listed(each for kind in _KINDS for each in kind.suffixes)
            raise BadInput(f"{name} is not a file to learn from: expected one of {known}; convert or remove it")
    (first, *others) = [kind for kind in _KINDS if any(suffix in kind.suffixes for suffix in found)]
    if others:
        one, other = (next(found[s] for s in kind.suffixes if s in found) for kind in (first, others[0]))
        raise BadInput(f"the files are of different kinds, such as {one} and {other}: keep one kind only")
    return first
