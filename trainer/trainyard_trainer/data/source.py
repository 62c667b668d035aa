"""Which files a data set is made of: one file, or a folder as Spark, Hadoop or a ConfigMap leaves it."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote

import pyarrow.fs as pa_fs

from trainyard_trainer.data.file_signatures import SNIFFED_BYTES
from trainyard_trainer.data.tfrecord import is_record_file, open_records
from trainyard_trainer.errors import BadInput, did_you_mean, listed, one_line
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.faults import NO_BUCKET, explained, fault
from trainyard_trainer.stores.filesystems import open_location
from trainyard_trainer.stores.uri import shown

Format = Literal["csv", "parquet", "tfrecord", "npz", "directory"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz",
    ".tfrecord": "tfrecord", ".tfrecords": "tfrecord", ".tfrec": "tfrecord",
}  # fmt: skip
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
_PARQUET_MAGIC, _ZIP_MAGIC = b"PAR1", b"PK\x03\x04"
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file. `name` is relative to the data set; `partition` holds the columns its folders stand for.

    `written` is when, in nanoseconds since 1970, where a store says so; a copy on a disk is no other file.
    """

    path: str
    name: str
    size: int
    partition: tuple[tuple[str, str | None], ...]
    written: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The files of a data set, sorted by name, and how to reach and read them."""

    location: str
    filesystem: pa_fs.FileSystem
    format: Format
    files: tuple[SourceFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(each.size for each in self.files)

    @property
    def fingerprint(self) -> str:
        """A digest of the file names and sizes, in a store of their times too, as sha256:<hex>."""
        parts = ((each.name, each.size, *([] if each.written is None else [each.written])) for each in self.files)
        lines = "".join("\t".join(map(str, each)) + "\n" for each in parts)
        return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def find(
    location: str,
    declared: Format | Literal["auto"],
    access: Access | None = None,
    *,
    require_success: bool = False,
) -> Source:
    """Find the files at a path or URI.

    Files and folders whose names start with `_` or `.` (`_SUCCESS`, `_temporary`, `.crc`) are not data, and empty
    files hold none.

    A folder that Spark or Hadoop has begun to write and not finished is refused; with `require_success`, any that has
    no file `_SUCCESS`.

    Raises:
        BadInput: nothing is there, nothing in it is data, its format is not clear, or the store refuses.
        StoreUnavailable: the store fails.
    """
    access = access or Access({})
    with explained(location, access):
        filesystem, root = open_location(location, access)
        try:
            return _find(filesystem, root, shown(location), declared, require_success=require_success)
        except UnicodeDecodeError as error:
            name = bytes(error.object).decode("utf-8", "backslashreplace").removeprefix(f"{root.rstrip('/')}/")
            raise BadInput(
                f"{shown(location)} holds a file or folder whose name is not UTF-8: {name}; rename it"
            ) from error


def _find(
    filesystem: pa_fs.FileSystem, root: str, location: str, declared: Format | Literal["auto"], *, require_success: bool
) -> Source:
    info = _info(filesystem, root, location)
    if info.type == pa_fs.FileType.File:
        found = [_source_file(info, PurePosixPath(PurePosixPath(info.path).name), filesystem)]
    else:
        _check_complete(filesystem, info.path, location, require_success=require_success)
        found = _walk(filesystem, info.path)
        if not found:
            raise BadInput(f"{location} holds no files (names that start with _ or . do not count): put data files in")
    if declared == "directory":
        return Source(location, filesystem, declared, tuple(found))
    data = [each for each in found if each.size > 0]
    if not data:
        raise BadInput(f"{location} is empty: expected a table with a header and at least one row")
    chosen, files = _of_one_format(filesystem, data, declared, location)
    return Source(location, filesystem, chosen, tuple(files))


def further_files(
    training: Source,
    uri: str,
    *,
    field: str,
    beside: str,
    apart_from: Source | None = None,
    access: Access | None = None,
) -> Source:
    """Find the files to validate or to test with, which a field names, in the format of those to train on.

    A relative path starts in the folder of `beside`, the place of those to train on.

    Raises:
        BadInput: nothing is there, or it is a part of what is trained on, or of what they are to be apart from.
        StoreUnavailable: the store fails.
    """
    location = uri
    if "://" not in uri and not uri.startswith("/"):
        location = "".join(beside.rstrip("/").rpartition("/")[:2]) + uri
    found = find(location, training.format, access)
    for others, use in ((training, "trained on"), (apart_from, "validated with")):
        shared = {each.path for each in others.files} & {each.path for each in found.files} if others else ()
        if shared:
            raise BadInput(
                f"{field} {uri} holds {sorted(shared)[0]}, which is {use} too: keep them in separate folders"
            )
    name = PurePosixPath(found.location.rstrip("/")).name
    return replace(
        found,
        files=tuple(each if each.name == name else replace(each, name=f"{name}/{each.name}") for each in found.files),
    )


def _info(filesystem: pa_fs.FileSystem, root: str, location: str) -> pa_fs.FileInfo:
    info = filesystem.get_file_info(root)
    if info.type != pa_fs.FileType.NotFound:
        return info
    # Google's and Azure's stores take a bucket or container that does not exist for an empty one.
    if filesystem.type_name in ("gcs", "abfs") and filesystem.get_file_info(root.partition("/")[0]).type == info.type:
        raise BadInput(f"cannot use {location}: {NO_BUCKET}")
    near = did_you_mean(PurePosixPath(root).name, _beside(filesystem, PurePosixPath(root)))
    where = (
        "that it has been uploaded"
        if "://" in location
        else "that the volume holds it. On a cluster this is a path in the pod: bring files of yours with "
        "data.source.configMap or persistentVolumeClaim, or name a URI such as s3://bucket/rows.csv"
    )
    raise BadInput(f"the data {location} does not exist{near or f': check the path, or {where}'}")


def _beside(filesystem: pa_fs.FileSystem, path: PurePosixPath) -> list[str]:
    """Return the names in the folder of a path; a bucket that does not exist is an error of its own."""
    folder = path.parent if path.parent.name or path.root else path
    # Where GCS finds no folder it says so in words alone; S3 tells by the error that there is no such bucket.
    selector = pa_fs.FileSelector(str(folder), allow_not_found=filesystem.type_name == "gcs")
    try:
        return [PurePosixPath(each.path).name for each in filesystem.get_file_info(selector)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _check_complete(filesystem: pa_fs.FileSystem, root: str, location: str, *, require_success: bool) -> None:
    success, temporary = (
        each.type != pa_fs.FileType.NotFound
        for each in filesystem.get_file_info([f"{root}/_SUCCESS", f"{root}/_temporary"])
    )
    if temporary and not success:
        raise BadInput(
            f"{location} is half written: it has a folder _temporary and no file _SUCCESS; wait for what writes it, "
            "write it again if that failed, or remove _temporary if the data is whole"
        )
    if require_success and not success:
        raise BadInput(
            f"{location} has no file _SUCCESS, which Spark and Hadoop write last: wait for what writes it, or set "
            "data.source.requireSuccess to false"
        )


def _walk(filesystem: pa_fs.FileSystem, root: str) -> list[SourceFile]:
    infos = filesystem.get_file_info(pa_fs.FileSelector(root, recursive=True))
    found = []
    for info in infos:
        name = PurePosixPath(info.path).relative_to(PurePosixPath(root))
        if info.type == pa_fs.FileType.File and not any(part.startswith(("_", ".")) for part in name.parts):
            found.append(_source_file(info, name, filesystem))
    return sorted(found, key=lambda each: each.name)


def _source_file(info: pa_fs.FileInfo, name: PurePosixPath, filesystem: pa_fs.FileSystem) -> SourceFile:
    written = None if isinstance(filesystem, pa_fs.LocalFileSystem) else info.mtime_ns
    return SourceFile(info.path, str(name), info.size or 0, _partition(name), written)


def _partition(name: PurePosixPath) -> tuple[tuple[str, str | None], ...]:
    pairs = [part.split("=", 1) for part in name.parts[:-1] if "=" in part]
    return tuple((unquote(key), None if value == _HIVE_NULL else unquote(value)) for key, value in pairs)


def _of_one_format(
    filesystem: pa_fs.FileSystem, files: list[SourceFile], declared: Format | Literal["auto"], location: str
) -> tuple[Format, list[SourceFile]]:
    named = [(each, _format_by_name(each.name)) for each in files]
    known = {kind for _, kind in named if kind}
    if declared != "auto":
        return declared, [each for each, kind in named if kind == declared] if declared in known else files
    if len(known) > 1:
        raise BadInput(f"{location} holds files of several formats ({listed(sorted(known))}): set data.format")
    if known:
        only = known.pop()
        return only, [each for each, kind in named if kind == only]
    return _format_by_content(filesystem, files[0]), files


def _format_by_content(filesystem: pa_fs.FileSystem, file: SourceFile) -> Format:
    try:
        with open_records(filesystem, file.path) as stream:
            start = bytes(stream.read(SNIFFED_BYTES))
    except OSError as error:
        # Arrow reports a damaged file as an OSError without a number; one with a number is the system's.
        if error.errno is not None or fault(error, file.name):
            raise
        raise BadInput(f"cannot read {file.name}: {one_line(error)}; correct the file, or leave it out") from error
    if start.startswith(_PARQUET_MAGIC):
        return "parquet"
    if start.startswith(_ZIP_MAGIC) and b".npy" in start:
        return "npz"
    return "tfrecord" if is_record_file(start) else "csv"


def _format_by_name(name: str) -> Format | None:
    path = PurePosixPath(name.lower())
    if path.suffix in _COMPRESSED:
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix)
