"""Brings a user's modules to where Python finds them, and says exactly which they are."""

import hashlib
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainyard_api import names
from trainyard_api.code import PythonProgram
from trainyard_trainer.errors import BadInput


@dataclass(frozen=True, slots=True)
class UserCode:
    """Modules to import. `folder` is where they are, or None where the image has them installed.

    `reference` tells which they are: the same reference, the same code.
    """

    folder: Path | None
    reference: Mapping[str, object] = field(default_factory=dict)


def find_code(program: PythonProgram, env: Mapping[str, str]) -> UserCode:
    """Return the modules of a program, fetched where they are in a git repository.

    Raises:
        BadInput: they are not there.
        OSError: the network fails.
    """
    source = program.source
    if source.git:
        from trainyard_trainer.programs.git import fetch

        folder = fetch(source.git, Path(tempfile.mkdtemp(prefix="code-")))
        return UserCode(folder, {"git": source.git.to_wire()})
    if source.image:
        return UserCode(None, {"image": source.image})
    folder = _mounted(env)
    return UserCode(
        folder, {"configMap": source.config_map.name if source.config_map else "", "sha256": _digest(folder)}
    )


def make_importable(code: UserCode) -> None:
    """Put the modules before all others; a second time changes nothing."""
    if code.folder is not None and str(code.folder) not in sys.path:
        sys.path.insert(0, str(code.folder))


def _mounted(env: Mapping[str, str]) -> Path:
    mounted = env.get(names.CODE_DIR_ENV)
    if not mounted:
        raise BadInput(
            "spec.program.python.source is a ConfigMap, which only a cluster mounts: "
            f"set ${names.CODE_DIR_ENV} to the folder of the modules"
        )
    if not Path(mounted).is_dir():
        raise BadInput(f"expected a folder of Python modules in ${names.CODE_DIR_ENV}, but {mounted} is none")
    return Path(mounted).absolute()


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
