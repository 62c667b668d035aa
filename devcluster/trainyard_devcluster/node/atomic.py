"""Folders of files that change all at once, as the kubelet writes ConfigMaps and Secrets."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class File:
    """What a projected file holds."""

    content: bytes
    mode: int = 0o644


def write(folder: Path, files: Mapping[str, File]) -> bool:
    """Make the folder show exactly these files (paths relative to it); returns whether anything changed.

    A reader sees either all old or all new files: they lie in a hidden folder that one symbolic link, `..data`, names,
    and changing that link is one rename.
    """
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "..data"
    if link.exists() and _held(link.resolve()) == dict(files):
        return False
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    fresh.chmod(0o755)
    for name, file in files.items():
        target = fresh / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.content)
        target.chmod(file.mode)
    old = link.resolve() if link.exists() else None
    _point(link, fresh.name)
    _show(folder, {name.split("/")[0] for name in files})
    if old is not None:
        shutil.rmtree(old)
    return True


def _held(folder: Path) -> dict[str, File]:
    return {
        str(path.relative_to(folder)): File(path.read_bytes(), path.stat().st_mode & 0o777)
        for path in folder.rglob("*")
        if path.is_file()
    }


def _point(link: Path, target: str) -> None:
    fresh = link.with_name("..data_new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    os.replace(fresh, link)


def _show(folder: Path, names: set[str]) -> None:
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    for entry in folder.iterdir():
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
