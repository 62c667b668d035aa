"""Folders that cannot be written to: never, or not now."""

import errno
import os
from pathlib import Path

import pytest

from trainyard_trainer.errors import BadInput
from trainyard_trainer.stores.faults import StoreUnavailable
from trainyard_trainer.stores.folders import ensure_writable


def test_a_folder_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    ensure_writable(tmp_path / "models" / "churn")

    assert list((tmp_path / "models" / "churn").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.EACCES, BadInput, "check the volume's access mode and the pod's fsGroup"),
        (errno.EROFS, BadInput, "check the volume's access mode and the pod's fsGroup"),
        (errno.ENOSPC, StoreUnavailable, "No space left on device; if that stays so, check the volume and its free"),
        (errno.EDQUOT, StoreUnavailable, "if that stays so, check the volume and its free space"),
        (errno.EIO, StoreUnavailable, "Input/output error; if that stays so"),
        (errno.ESTALE, StoreUnavailable, "if that stays so"),
    ],
)
def test_what_may_pass_is_told_from_what_somebody_has_to_change(
    number: int, kind: type[Exception], said: str, tmp_path: Path
) -> None:
    def attempt(folder: Path) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(kind, match=f"cannot write to the store at {tmp_path}.*{said}"):
        ensure_writable(tmp_path, attempt)


def test_a_file_in_the_place_of_a_folder_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")

    for folder in (tmp_path / "models", tmp_path / "models" / "churn"):
        with pytest.raises(BadInput, match="cannot write to the store"):
            ensure_writable(folder)
