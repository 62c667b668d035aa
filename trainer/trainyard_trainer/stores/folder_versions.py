"""The versions of one model in the store: finding them, and adding one so that nobody ever sees half of it."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard_api.names import MANIFEST_FILE, SIGNATURE_FILE
from trainyard_trainer.files import sync, sync_tree, write_atomically
from trainyard_trainer.reporting.result import ModelVersion


@dataclass(frozen=True, slots=True)
class CompleteVersion:
    """A complete version with its manifest."""

    version: ModelVersion
    manifest: Mapping[str, Any]


def find_by_uid(folder: Path, uid: str) -> CompleteVersion | None:
    """Return the newest complete version that the training with this uid made, if it made one."""
    for number in sorted(_numbers(folder), reverse=True):
        with suppress(OSError):
            if found := complete((folder / str(number) / MANIFEST_FILE).read_bytes(), uid):
                return found
    return None


def complete(content: bytes, uid: str) -> CompleteVersion | None:
    """Return the version that a manifest describes, if the training with this uid made it."""
    try:
        manifest = json.loads(content)
        return CompleteVersion(_version(manifest, content), manifest) if manifest["trainingJob"]["uid"] == uid else None
    except (ValueError, KeyError, TypeError):
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
    )
