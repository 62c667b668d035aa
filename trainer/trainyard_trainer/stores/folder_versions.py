"""The versions of one model in the store: finding them, and adding one so that nobody ever sees half of it."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard_api.names import MANIFEST_FILE, SIGNATURE_FILE
from trainyard_api.rerun import training_id
from trainyard_trainer.files import sync, sync_tree, write_atomically
from trainyard_trainer.reporting.result import ModelVersion


@dataclass(frozen=True, slots=True)
class CompleteVersion:
    """A complete version with its manifest."""

    version: ModelVersion
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """By what a training knows its versions; and the fingerprint of its spec, if it takes those of others.

    The uid is that of the TrainingJob, followed by the number of the run where it has trained before.
    """

    uid: str
    fingerprint: str | None = None


def find(folder: Path, origin: Origin) -> CompleteVersion | None:
    """Return the newest complete version that this training made or, if it made none, may take."""
    return newest(((number, _manifest(folder / str(number))) for number in sorted(_numbers(folder))[::-1]), origin)


def newest(manifests: Iterable[tuple[int, bytes | None]], origin: Origin) -> CompleteVersion | None:
    """Return what a training finds among manifests and the numbers that they lie under, the newest first."""
    alike = None
    for number, content in manifests:
        found = complete(content) if content is not None else None
        if found is None:
            continue
        if maker(found) == origin.uid:
            return found
        # A copy may lie under another number, where nobody would find what is reported.
        fingerprint = found.manifest["trainingJob"].get("fingerprint")
        is_alike = origin.fingerprint is not None and fingerprint == origin.fingerprint
        if alike is None and is_alike and found.version.version == number:
            alike = found
    return alike


def maker(version: CompleteVersion) -> str:
    """Return the training that made a version, as its store knows it."""
    job = version.manifest["trainingJob"]
    run = job.get("run")
    return training_id(job["uid"], run if isinstance(run, int) else 0)


def complete(content: bytes) -> CompleteVersion | None:
    """Return the version that a manifest describes, if it describes one and says who made it."""
    try:
        manifest = json.loads(content)
        made_by_a_job = isinstance(manifest["trainingJob"]["uid"], str)
        return CompleteVersion(_version(manifest, content), manifest) if made_by_a_job else None
    except (ValueError, KeyError, TypeError):
        return None


def _manifest(version: Path) -> bytes | None:
    with suppress(OSError):
        return (version / MANIFEST_FILE).read_bytes()
    return None


def final_manifest(manifest: Mapping[str, object], number: int) -> bytes:
    """Return the content of the manifest of the version with this number."""
    return json.dumps(dict(manifest) | {"version": number}, indent=2, sort_keys=True).encode() + b"\n"


def new_staging(folder: Path, uid: str) -> Path:
    """Return an empty folder beside the versions; what an earlier run of the same training left in it is removed."""
    staging = folder / f".staging-{uid}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    return staging


def publish(
    staging: Path, folder: Path, manifest: Mapping[str, object], sign: Callable[[Path], None] | None = None
) -> ModelVersion:
    """Give the content of `staging` the next free version number; the manifest is written into it last.

    Only a signature may follow: `sign` is called when everything it signs is there.

    Raises:
        OSError: the store cannot be written.
    """
    number = max(_numbers(folder), default=0) + 1
    sync_tree(staging)
    while True:
        content = final_manifest(manifest, number)
        write_atomically(staging / MANIFEST_FILE, lambda stream, written=content: stream.write(written))  # type: ignore[misc]
        if sign:
            sign(staging)
            sync(staging / SIGNATURE_FILE)
        try:
            os.rename(staging, folder / str(number))
        except OSError as error:
            # Another training took the number in the meantime.
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            number += 1
            continue
        sync(folder)
        return _version(json.loads(content), content)


def _numbers(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []


def _version(manifest: Mapping[str, Any], content: bytes) -> ModelVersion:
    return ModelVersion(
        name=manifest["name"],
        version=int(manifest["version"]),
        digest="sha256:" + hashlib.sha256(content).hexdigest(),
        size_bytes=sum(int(file["size"]) for file in manifest["files"]),
        data_fingerprint=_fingerprint(manifest.get("data")),
    )


def _fingerprint(described: object) -> str | None:
    found = described.get("fingerprint") if isinstance(described, Mapping) else None
    return found if isinstance(found, str) else None
