"""Reads Parquet files, row group by row group."""

import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.fs as pa_fs

from trainyard_trainer.data.file_signatures import SNIFFED_BYTES, foreign_format
from trainyard_trainer.data.readers import Reader, Shard, StoredBatch, check_columns
from trainyard_trainer.data.source import SourceFile
from trainyard_trainer.errors import BadInput

_MAGIC = b"PAR1"


class ParquetReader(Reader):
    """Parquet brings its types along, and has no bad rows of its own: a damaged file cannot be read at all."""

    def __init__(self, filesystem: pa_fs.FileSystem) -> None:
        self._filesystem = filesystem
        self.index: frozenset[str] = frozenset()

    def inspect(self, file: SourceFile) -> pa.Schema:
        """Return the Arrow schema of a file."""
        try:
            schema = self._fragment(file).physical_schema
        except pa.ArrowInvalid:
            self._refuse_foreign(file)
            raise
        try:
            schema.to_string(show_field_metadata=False, show_schema_metadata=False)  # names of nested fields, too
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{file.name} has a column whose name is not in UTF-8: write the file again, or leave it out"
            ) from error
        self.index |= frozenset(_pandas_index(schema.metadata or {}))
        return schema

    def _refuse_foreign(self, file: SourceFile) -> None:
        with self._filesystem.open_input_stream(file.path, compression=None) as stream:
            start = bytes(stream.read(SNIFFED_BYTES))
        if not start.startswith(_MAGIC) and (found := foreign_format(start)):
            raise BadInput(f"{file.name} is {found[0]}, not Parquet: {found[1]}")

    def shards(self, file: SourceFile) -> Iterator[Shard]:
        """Yield the row groups of a file."""
        first_row = 0
        for group in self._fragment(file).split_by_row_group():
            (facts,) = group.row_groups
            yield Shard(file, group, 2 * facts.total_byte_size, first_row)
            first_row += facts.num_rows

    def read(self, shard: Shard, columns: Sequence[str], *, batch_rows: int) -> Iterator[StoredBatch]:
        """Yield the rows of a row group."""
        check_columns(columns, shard.fragment.physical_schema.names, shard.file.name)
        first_row = shard.first_row
        # By default Arrow reads 16 batches ahead, of every piece that is open.
        for batch in shard.fragment.to_batches(columns=list(columns), batch_size=batch_rows, batch_readahead=1):
            yield StoredBatch(batch, np.arange(first_row, first_row + batch.num_rows))
            first_row += batch.num_rows

    def _fragment(self, file: SourceFile) -> pa_dataset.ParquetFileFragment:
        # Spark writes a checksum for every page, which Arrow looks at only if it is asked to.
        checked = pa_dataset.ParquetFragmentScanOptions(page_checksum_verification=True)
        format_ = pa_dataset.ParquetFileFormat(default_fragment_scan_options=checked)
        return format_.make_fragment(file.path, self._filesystem)


def _pandas_index(metadata: Mapping[bytes, bytes]) -> list[str]:
    """Return the columns that pandas wrote for the index of a frame."""
    try:
        columns = json.loads(metadata.get(b"pandas", b"{}")).get("index_columns", [])
    except (ValueError, AttributeError):
        return []
    return [name for name in columns if isinstance(name, str)]
