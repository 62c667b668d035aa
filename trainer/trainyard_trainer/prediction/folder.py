"""Where predictions go: files that appear whole or not at all, and beside them what is finished."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainyard_trainer.files import naming_full_disk, sync, write_atomically
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.objects import ObjectStore

# Readers of Parquet take files that begin like this for none of the data.
JOURNAL, MANIFEST, SUCCESS = "_progress.json", "_predictions.json", "_SUCCESS"


class PredictionFolder:
    """A folder of a volume, or one in a store that is reached over the network, for which `scratch` holds a file."""

    def __init__(self, where: str, access: Access, scratch: Path) -> None:
        self._objects = ObjectStore(where, access)
        self._local = Path(where) if "://" not in where else None
        if self._local:
            self._local.mkdir(parents=True, exist_ok=True)
        self._scratch = scratch

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file, or nothing where it is not there."""
        return self._objects.read(name)

    def write(self, name: str, content: bytes) -> None:
        """Write a small file: all of it, or nothing."""
        if self._local:
            write_atomically(self._local / name, lambda stream: stream.write(content))
        else:
            self._objects.write(name, content)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._objects.delete(name)

    def names(self) -> list[str]:
        """Return the files that are there."""
        return sorted(self._objects.names())

    def new_part(self, name: str, schema: pa.Schema) -> "Part":
        """Return a file of predictions to write, which is there once it is finished."""
        return Part(self, name, schema, (self._local or self._scratch) / f".{name}.tmp")

    def place(self, path: Path, name: str) -> None:
        """Give a finished local file its name in the folder."""
        if self._local:
            sync(path)
            os.replace(path, self._local / name)
            sync(self._local)
        else:
            self._objects.upload(path, name)
            path.unlink()


class Part:
    """One file of predictions while it is written."""

    def __init__(self, folder: PredictionFolder, name: str, schema: pa.Schema, path: Path) -> None:
        self._folder, self._name, self._path, self.rows = folder, name, path, 0
        self._writer = pq.ParquetWriter(path, schema)

    def add(self, batch: pa.RecordBatch) -> None:
        """Write rows."""
        with naming_full_disk(self._path):
            self._writer.write_batch(batch)
        self.rows += len(batch)

    def finish(self) -> None:
        """Let others see the file."""
        with naming_full_disk(self._path):
            self._writer.close()
            self._folder.place(self._path, self._name)


@dataclass(slots=True)
class ShardProgress:
    """The finished files of one piece of the data, by their rows, and whether there are no others."""

    rows: list[int] = field(default_factory=list)
    done: bool = False


@dataclass(slots=True)
class Journal:
    """What is finished: `model` and `data` are what it was predicted with and from, `bad` the rows left out."""

    model: str
    data: str
    bad: list[tuple[str, int | None, str]] = field(default_factory=list)
    shards: dict[int, ShardProgress] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows in finished files."""
        return sum(sum(shard.rows) for shard in self.shards.values())

    @property
    def files(self) -> list[str]:
        """The finished files, in the order of the data."""
        return [
            part_name(number, index)
            for number, shard in sorted(self.shards.items())
            for index in range(len(shard.rows))
        ]

    def to_json(self) -> bytes:
        """Return it as it is kept."""
        shards = {str(number): {"rows": each.rows, "done": each.done} for number, each in self.shards.items()}
        kept = {"model": self.model, "data": self.data, "badRows": self.bad, "shards": shards}
        return json.dumps(kept, sort_keys=True).encode()


def read_journal(content: bytes | None) -> Journal | None:
    """Return what an earlier attempt has finished, if it came to that."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        found: Mapping[str, object] = json.loads(content or b"null")
        return _journal(found)
    return None


def _journal(found: Mapping[str, object]) -> Journal:
    bad, shards = found["badRows"], found["shards"]
    assert isinstance(bad, list)
    assert isinstance(shards, dict)
    return Journal(
        str(found["model"]),
        str(found["data"]),
        [(str(file), row, str(why)) for file, row, why in bad],
        {int(number): ShardProgress(list(each["rows"]), bool(each["done"])) for number, each in shards.items()},
    )


def part_name(shard: int, index: int) -> str:
    """Return the name of a file of predictions: those of one piece of the data are numbered."""
    return f"part-{shard:05d}-{index:05d}.parquet"
