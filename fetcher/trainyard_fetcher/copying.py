"""Brings one model version to its server, and nothing that is not exactly it: what all stores have in common.

It imports nothing heavy, so that an init container starts at once, and trusts nothing it reads: a
manifest may name any path, and a store may hold half a model.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from trainyard_api.names import MANIFEST_FILE, SIGNATURE_FILE, TERMINATION_MESSAGE_ENV
from trainyard_fetcher import structure
from trainyard_fetcher.operations import refused_operations

MANIFEST_LIMIT = 4 * 2**20
_CHUNK = 2**20
_POLL = 0.5
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATH_BYTES = 255
_SIGNATURE_LIMIT = 16 * 2**20
_GRAPH = PurePosixPath("saved_model.pb")
# Other forms of the graph, which nobody would have looked into.
_OTHER_GRAPHS = frozenset({PurePosixPath("saved_model.cpb"), PurePosixPath("saved_model.pbtxt")})


class FetchError(Exception):
    """The model version cannot be served.

    Attributes:
        reason: Why, as one CamelCase word: it becomes the reason of a condition.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model version, as its manifest has it; `path` is relative and stays inside the version."""

    path: PurePosixPath
    size: int
    sha256: str


class Origin(Protocol):
    """One model version in a store. As text it is its address."""

    def manifest(self) -> bytes | None:
        """Return at least as much of the manifest as may be read, or nothing where there is none."""

    def open(self, path: PurePosixPath) -> BinaryIO:
        """Open a file of the version.

        Raises:
            FileNotFoundError: there is none.
            FetchError: it leads out of the version.
        """

    def missing(self) -> str:
        """Say what is wrong with an address where no manifest is."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What a version must be like to be served.

    Attributes:
        digest: `sha256:<hex>` that its manifest must have.
        structure: Whether a SavedModel without a manifest will do, as long as all that it names is there.
        any_operation: Whether the model may read files and do whatever else TensorFlow's operations do.
        verify: Raises FetchError unless the files in a folder are those that the signature file there signs.
    """

    digest: str | None = None
    structure: bool = False
    any_operation: bool = False
    verify: Callable[[Path], None] | None = None


def fetch(origin: Origin, target: Path, demands: Demands = Demands(), *, wait: float = 0.0) -> list[File]:
    """Copy a model version, verifying every byte; `target` appears complete or not at all.

    Args:
        origin: The version in the store.
        target: Folder to create. One that is there from an earlier run is replaced.
        demands: What it must be like.
        wait: Seconds to wait for the version to appear: the store may be a network file system that lags behind.

    Raises:
        FetchError: the version is absent, incomplete, altered or unsafe.
        OSError: the store cannot be read or the target not be written.
    """
    staging = target.parent / f".staging-{target.name}"
    for leftover in (staging, target):
        shutil.rmtree(leftover, ignore_errors=True)
    content = origin.manifest() if demands.structure else _read_manifest(origin, wait)
    if content is None:
        files = _copy_all_that_is_named(origin, staging, wait)
    else:
        _check_digest(origin, content, demands.digest)
        files = parse_manifest(content, where=f"{origin}/{MANIFEST_FILE}")
        for file in files:
            _copy(origin, staging, file)
        (staging / MANIFEST_FILE).write_bytes(content)
    if demands.verify:
        _copy_signature(origin, staging)
        demands.verify(staging)
    if not demands.any_operation:
        _check_operations(origin, staging)
    # TensorFlow Serving loads a version as soon as its folder has a number for a name.
    staging.rename(target)
    return files


def parse_manifest(content: bytes, *, where: str) -> list[File]:
    """Return the files of a manifest.

    Raises:
        FetchError: it is not a manifest of a SavedModel, or names something outside of the version.
    """
    try:
        manifest = json.loads(content)
        files = [_parse_file(entry) for entry in manifest["files"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FetchError("BadManifest", f"{where} is not a model manifest ({error}); export the model again") from error
    paths = [file.path for file in files]
    if len(set(paths)) != len(paths) or PurePosixPath(MANIFEST_FILE) in paths:
        raise FetchError("BadManifest", f"{where} lists a file twice, or itself; export the model again")
    if _GRAPH not in paths:
        raise FetchError("BadManifest", f"{where} lists no {_GRAPH}; only a SavedModel can be served")
    if others := _OTHER_GRAPHS.intersection(paths):
        raise FetchError("BadManifest", f"{where} lists {min(others)} too; export the model again without it")
    if folders := set(paths).intersection(parent for path in paths for parent in path.parents):
        raise FetchError("BadManifest", f"{where} lists {min(folders)} as a file and as a folder; export it again")
    return files


def _parse_file(entry: dict[str, Any]) -> File:
    path, size, sha256 = entry["path"], entry["size"], entry["sha256"]
    if not isinstance(path, str) or type(size) is not int or size < 0 or not _SHA256.fullmatch(sha256):
        raise ValueError(f"a file entry is malformed: {entry!a:.200}")
    # Names that a file system or a log cannot take: control characters, lone surrogates, too long.
    if not path.isprintable() or len(path.encode()) > _PATH_BYTES:
        raise ValueError(f"path {path!a:.200} is not a plain file name of at most {_PATH_BYTES} bytes")
    relative = PurePosixPath(path)
    if not relative.parts or relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"path {path!r:.200} leads out of the version")
    return File(relative, size, sha256)


def _read_manifest(origin: Origin, wait: float) -> bytes:
    deadline = time.monotonic() + wait
    while (content := origin.manifest()) is None:
        if time.monotonic() >= deadline:
            raise FetchError("ModelNotFound", origin.missing())
        time.sleep(_POLL)
    if len(content) > MANIFEST_LIMIT:
        raise FetchError("BadManifest", f"{origin}/{MANIFEST_FILE} is larger than {MANIFEST_LIMIT} bytes")
    return content


def _check_digest(origin: Origin, content: bytes, digest: str | None) -> None:
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest is not None and digest != found:
        raise FetchError(
            "DigestMismatch",
            f"{origin}/{MANIFEST_FILE} has digest {found}, expected {digest}: "
            "the version was changed after its training; train again, or restore it",
        )


def _copy_signature(origin: Origin, folder: Path) -> None:
    try:
        with origin.open(PurePosixPath(SIGNATURE_FILE)) as stream:
            (folder / SIGNATURE_FILE).write_bytes(stream.read(_SIGNATURE_LIMIT))
    except FileNotFoundError as error:
        raise FetchError(
            "NotSigned",
            f"{origin} has no {SIGNATURE_FILE}, and spec.model.verify asks for a signature: train it with "
            "output.signing, or leave verify out",
        ) from error


def _check_operations(origin: Origin, folder: Path) -> None:
    try:
        refused = refused_operations((folder / _GRAPH).read_bytes())
    except ValueError as error:
        raise FetchError("CorruptModel", f"{origin}/{_GRAPH} cannot be read: {error}; export it again") from error
    if refused:
        shown = ", ".join(refused[:10]) + (f" and {len(refused) - 10} more" if len(refused) > 10 else "")
        raise FetchError(
            "OperationNotAllowed",
            f"{origin} uses {shown}: a served model may only compute from its inputs and weights. Leave that out of "
            "the model, or, if you trust whoever made it, set spec.model.allowAnyOperation",
        )


def _copy(origin: Origin, target: Path, file: File) -> None:
    where = f"{origin}/{file.path}"
    try:
        reader = origin.open(file.path)
    except FileNotFoundError as error:
        raise FetchError("IncompleteModel", f"{where} is missing; restore the version, or train again") from error
    destination = target / file.path
    checksum, size = hashlib.sha256(), 0
    with reader, _new(destination) as writer:
        # One byte more than announced is enough to know; a file that never ends must not fill the disk.
        while size <= file.size and (chunk := reader.read(_CHUNK)):
            checksum.update(chunk)
            writer.write(chunk)
            size += len(chunk)
    if size != file.size or checksum.hexdigest() != file.sha256:
        raise FetchError(
            "CorruptModel",
            f"{where} is not the file that was exported: expected {file.size} bytes with SHA-256 {file.sha256}, "
            f"got {size if size <= file.size else 'more'} bytes with {checksum.hexdigest()}; "
            "restore the version, or train again",
        )


def _copy_all_that_is_named(origin: Origin, staging: Path, wait: float) -> list[File]:
    """Copy a SavedModel that has no manifest: all that its graph and the index of its variables name."""
    deadline = time.monotonic() + wait
    while (graph := _copy_whole(origin, staging, structure.GRAPH)) is None:
        if time.monotonic() >= deadline:
            raise FetchError("ModelNotFound", f"{origin} has no {structure.GRAPH}; is it the folder of a SavedModel?")
        time.sleep(_POLL)
    files = [graph]
    with _damage(origin, structure.GRAPH):
        parts = list(structure.parts(_content(staging, structure.GRAPH, structure.MOST_GRAPH_BYTES)))
    files += [_named(origin, staging, path, by=structure.GRAPH) for path in parts]
    if structure.INDEX in parts:
        with _damage(origin, structure.INDEX):
            shards = structure.shards(_content(staging, structure.INDEX, structure.MOST_INDEX_BYTES))
        for path, size in shards.items():
            shard = _named(origin, staging, path, by=structure.INDEX)
            files.append(shard)
            if shard.size < size:
                raise FetchError(
                    "IncompleteModel",
                    f"{origin}/{path} has {shard.size} bytes, and {structure.INDEX} says that it has at least {size}: "
                    "wait for its upload, or export the model again",
                )
    return [*files, *filter(None, (_copy_whole(origin, staging, path) for path in structure.OPTIONAL))]


def _named(origin: Origin, staging: Path, path: PurePosixPath, *, by: PurePosixPath) -> File:
    file = _copy_whole(origin, staging, path)
    if file is None:
        raise FetchError(
            "IncompleteModel",
            f"{origin}/{path} is missing, which {by} names: wait for its upload, or export the model again",
        )
    return file


def _copy_whole(origin: Origin, target: Path, path: PurePosixPath) -> File | None:
    """Copy a file that nobody has told the size of; None where there is none."""
    try:
        reader = origin.open(path)
    except FileNotFoundError:
        return None
    checksum, size = hashlib.sha256(), 0
    with reader, _new(target / path) as writer:
        while chunk := reader.read(_CHUNK):
            checksum.update(chunk)
            writer.write(chunk)
            size += len(chunk)
    return File(path, size, checksum.hexdigest())


def _content(staging: Path, path: PurePosixPath, most: int) -> bytes:
    if (staging / path).stat().st_size > most:
        raise ValueError(f"it is larger than {most} bytes")
    return (staging / path).read_bytes()


@contextmanager
def _damage(origin: Origin, path: PurePosixPath) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise FetchError("CorruptModel", f"{origin}/{path}: {error}; export the model again") from error


def _new(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


def command(
    program: str,
    find: Callable[[str], Origin],
    arguments: Sequence[str] | None = None,
    *,
    verifier: Callable[[Path], Callable[[Path], None]] | None = None,
) -> int:
    """Fetch from the command line; the last word goes into the pod's termination message.

    Args:
        program: How it is called.
        find: Makes a version of an address.
        arguments: Those of the command line.
        verifier: Makes `Demands.verify` of the file of a public key, where this program can tell signatures.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=fetch.__doc__)
    parser.add_argument("--source", required=True, help="address of the model version in the store")
    parser.add_argument("--target", type=Path, required=True, help="folder to create")
    parser.add_argument("--digest", help="sha256:<hex> that the version's trainyard.json must have")
    parser.add_argument("--wait", type=float, default=10.0, help="seconds to wait for the version to appear")
    parser.add_argument("--structure", action="store_true", help="take a complete SavedModel without a trainyard.json")
    parser.add_argument("--allow-any-operation", action="store_true", help="serve a model that may do anything")
    if verifier:
        parser.add_argument("--public-key", type=Path, help="file of the key that the version's signature must fit")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        verify = verifier(options.public_key) if verifier and options.public_key else None
        demands = Demands(options.digest, options.structure, options.allow_any_operation, verify)
        files = fetch(find(options.source), options.target, demands, wait=options.wait)
    except FetchError as error:
        return _fail(f"{error.reason}: {error}")
    except OSError as error:
        return _fail(f"FetchFailed: {error}")
    total = sum(file.size for file in files)
    print(f"Fetched {len(files)} files, {total} bytes, verified, in {time.monotonic() - started:.2f} s")
    return 0


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    if path := os.environ.get(TERMINATION_MESSAGE_ENV):
        # The kubelet reads 4096 bytes.
        Path(path).write_bytes(message.encode(errors="replace")[:4096])
    return 1
