"""Folders that a training writes to, tried before it begins."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.stores.faults import StoreUnavailable

_MISTAKES = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG,
)  # fmt: skip
"""What stays as it is until somebody changes the volume or the spec. Anything else may pass, a full disk too."""


def probe(folder: Path) -> None:
    """Make the folder where it is missing, and a file in it for a moment."""
    file = folder / f".probe-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    file.unlink()


def ensure_writable(folder: Path, attempt: Callable[[Path], None] = probe) -> None:
    """Make sure that files can be written to a folder.

    Raises:
        BadInput: they never can, as things are.
        StoreUnavailable: they cannot now.
    """
    try:
        attempt(folder)
    except OSError as error:
        if error.errno in _MISTAKES:
            raise BadInput(
                f"cannot write to the store at {folder}: {one_line(error)}; "
                "check the volume's access mode and the pod's fsGroup"
            ) from error
        raise StoreUnavailable(
            f"cannot write to the store at {folder} now: {one_line(error)}; if that stays so, check the volume and its "
            "free space"
        ) from error
