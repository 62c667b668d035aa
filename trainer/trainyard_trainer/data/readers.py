"""What a format of tables has to be able to do. Each gives Arrow record batches, whatever its files are made of."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from trainyard_trainer.data.numerals import PLAIN, Notation
from trainyard_trainer.data.source import SourceFile
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.stores.faults import fault
from trainyard_trainer.tensors import Integers

CORRUPT = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeDecodeError)
"""What Arrow raises about files, beside OSError."""


_ROW_CONTENT = re.compile(r"(Expected \d+ columns, got \d+): .*", re.DOTALL)
"""Arrow quotes the whole row, which may hold anything."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The piece in which a table is read and shuffled: a Parquet row group, or a file of another format.

    `open_bytes` is about what it takes in memory while it is read: a row group is decoded as a whole. `first_row` is
    the number of its first row in the file. `fragment` is what its reader knows it by.
    """

    file: SourceFile
    fragment: Any
    open_bytes: int
    first_row: int = 0


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """Some rows as they are stored, and the number of each in its file, from 0."""

    columns: pa.RecordBatch
    rows: Integers


class Reader(ABC):
    """Reads the files of one format. What only some formats know has a default."""

    missing: frozenset[str] = frozenset({""})
    """Texts that stand for a missing value."""
    unnamed: frozenset[str] = frozenset()
    """Columns that have no name of their own."""
    index: frozenset[str] = frozenset()
    """Columns that hold the index of a pandas frame."""
    headless: bool = False
    """Whether the first line of a file looks like a row."""
    advice: str = ""
    """What else may be wrong with that line, and what to do."""
    settles_types: bool = False
    """Whether `settle` gives all files the same types."""

    @abstractmethod
    def inspect(self, file: SourceFile) -> pa.Schema:
        """Return the Arrow schema of a file."""

    def settle(self, kinds: Mapping[str, str], identities: Sequence[str] = ()) -> None:
        """Take in what each column holds in all files together, and which are to be read as the texts they are."""
        return

    def notation(self, column: str) -> Notation:
        """Return how the numbers of a column are written, where the format has a say in it."""
        return PLAIN

    def ambiguous(self, column: str) -> str | None:
        """Return a number of a column that can be read in two ways, where nothing tells which."""
        return None

    @abstractmethod
    def shards(self, file: SourceFile) -> Iterator[Shard]:
        """Yield the pieces of a file, in order."""

    @abstractmethod
    def read(self, shard: Shard, columns: Sequence[str], *, batch_rows: int) -> Iterator[StoredBatch]:
        """Yield the rows of a piece, in order, without those that are bad by the format's own rules."""


def check_columns(wanted: Sequence[str], there: Collection[str], file: str) -> None:
    """Refuse a file that lacks a column; those that were inspected at the beginning have been compared already.

    Raises:
        BadInput: it lacks one.
    """
    for name in wanted:
        if name not in there:
            raise BadInput(f"column {name!r} is in other files but not in {file}: all files need the same columns")


@contextmanager
def blaming(name: str) -> Iterator[None]:
    """Turn what Arrow says about a bad file into a message that names the file."""
    try:
        yield
    except (*CORRUPT, OSError) as error:
        if found := fault(error, name):
            raise found from error
        # Arrow reports a damaged file as an OSError without a number; one with a number is the system's, and may pass.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = (str(error).partition("': ")[2] or str(error)).removeprefix("Invalid: ")
        text = one_line(_ROW_CONTENT.sub(r"\1", text), 400)
        raise BadInput(f"cannot read {name}: {text}; correct the file, or leave it out") from error
