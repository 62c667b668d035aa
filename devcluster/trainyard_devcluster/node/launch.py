"""From a container's spec to the process that stands for it. Pure."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainyard_devcluster.node.env import FieldReader, Lookup, environment
from trainyard_devcluster.node.images import Image
from trainyard_devcluster.node.paths import rewrite
from trainyard_devcluster.resources import Object

SHIM = Path(__file__).parent / "shim"
"""On the PYTHONPATH of every process: its `sitecustomize` knows the pod's address and the cluster's names."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TERMINATION_MESSAGE_PATH = "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class ContainerFolder:
    """A container's own files on this machine."""

    root: Path

    @property
    def pod(self) -> Path:
        """The folder of the pod, with its volumes and its other files."""
        return self.root.parents[1]

    @property
    def home(self) -> Path:
        """HOME, and the working directory where the container names none."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """TMPDIR."""
        return self.root / "tmp"

    @property
    def termination_message(self) -> Path:
        """What stands for `terminationMessagePath`."""
        return self.root / "termination-log"

    def log(self, restart: int) -> Path:
        """The log of one run."""
        return self.root / "logs" / f"{restart}.log"

    def make(self) -> None:
        """Make the folders, and an empty termination message."""
        for folder in (self.home, self.tmp):
            folder.mkdir(parents=True, exist_ok=True)
        self.termination_message.write_bytes(b"")


@dataclass(frozen=True, slots=True)
class Launch:
    """A process to start."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    mounts: Mapping[str, str]
    """Path in the container -> path on this machine."""
    image: Image

    def command(self, words: list[str]) -> list[str]:
        """A command of a probe or hook, as this machine has to run it."""
        words = [rewrite(word, self.mounts) for word in words]
        return [*self.image.programs.get(words[0], (words[0],)), *words[1:]]


def variables(
    container: Object, image: Image, base: Mapping[str, str], *, lookup: Lookup, field: FieldReader
) -> dict[str, str]:
    """The container's variables as its pod means them, before paths are rewritten. ConfigError as `environment`."""
    return environment(container, {"PATH": DEFAULT_PATH} | dict(image.env) | dict(base), lookup=lookup, field=field)


def launch(
    container: Object,
    image: Image,
    values: Mapping[str, str],
    *,
    mounts: Mapping[str, str],
    folder: ContainerFolder,
    marks: Mapping[str, str],
) -> Launch:
    """The process for a container, given its `variables` and where its mounts really are. ImageError as `argv`.

    `marks` are variables that the pod cannot change.
    """
    message_path = container.get("terminationMessagePath") or TERMINATION_MESSAGE_PATH
    places = dict(mounts) | {message_path: str(folder.termination_message)}
    # What is a path of this machine already stays as it is, also where a mount path such as /tmp begins it.
    known = places | {path: path for path in (str(folder.pod), *image.local_paths)}
    argv = tuple(rewrite(word, known) for word in image.argv(container, values))
    env = {name: rewrite(value, known) for name, value in values.items()} | dict(marks)
    env.setdefault("HOME", str(folder.home))
    env.setdefault("TMPDIR", places.get("/tmp", str(folder.tmp)))  # noqa: S108
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SHIM), env.get("PYTHONPATH", "")]))
    return Launch(argv, env, _working_folder(container, places, folder), places, image)


def _working_folder(container: Object, places: Mapping[str, str], folder: ContainerFolder) -> Path:
    wanted = container.get("workingDir")
    if not wanted:
        return folder.home
    real = rewrite(wanted, places)
    return Path(real) if real != wanted else folder.root / "root" / wanted.lstrip("/")
