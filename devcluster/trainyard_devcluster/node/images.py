"""Which local command stands for an image."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from trainyard_devcluster.node.env import expand_all
from trainyard_devcluster.resources import Object

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


class ImageError(Exception):
    """No local command stands for the image; the message says how to name one."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a local process needs to know of an image."""

    pattern: str
    """A shell pattern for the image's name; a registry in front of the name is ignored."""
    entrypoint: tuple[str, ...] = ()
    """ENTRYPOINT; `$(NAME)` is replaced by the container's variables."""
    command: tuple[str, ...] = ()
    """CMD."""
    env: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the first word of a command stands for, such as `python` for one interpreter among several."""
    binds_all: tuple[str, ...] = ()
    """Flags of a server that cannot bind one address: the node gives it free ports and forwards the pod's own."""

    def matches(self, image: str) -> bool:
        """Whether this entry stands for the image."""
        parts = image.split("/")
        return any(fnmatchcase("/".join(parts[start:]), self.pattern) for start in range(len(parts)))

    @property
    def local_paths(self) -> frozenset[str]:
        """The programs on this machine that stand for those of the image."""
        return frozenset(word for words in self.programs.values() for word in words if word.startswith("/"))

    def argv(self, container: Object, variables: Mapping[str, str]) -> list[str]:
        """The process to run. A container's command replaces ENTRYPOINT and CMD, its args replace CMD."""
        command, args = container.get("command") or [], container.get("args") or []
        words = expand_all(command or self.entrypoint, variables)
        words += expand_all(args or (() if command else self.command), variables)
        if not words:
            raise ImageError(f'image "{self.pattern}" has no command of its own: give the container one')
        return [*self.programs.get(words[0], (words[0],)), *words[1:]]


def find(images: Iterable[Image], container: Object) -> Image:
    """The entry for a container's image, which is the first that matches.

    A command of this machine is no substitute: what runs must be what was asked for, as on any cluster.
    """
    name = container["image"]
    for image in images:
        if image.matches(name):
            return image
    raise ImageError(
        f'no local command stands for image "{name}". Give the node agent a file (--images FILE) with an entry such as '
        f'{{image: "{name}", entrypoint: [python, -m, my_program]}}'
    )


def load(path: Path, environment: Mapping[str, str] = os.environ) -> list[Image]:
    """Read a YAML list of entries: `image`, and `entrypoint`, `command`, `env`, `programs`, `bindsAll` as needed.

    In `programs`, `${NAME:-default}` is a variable of the environment, and a path that starts with a dot begins at the
    file's folder. An entry with `onlyWith` counts where that program is on PATH.
    """
    entries = yaml.safe_load(path.read_text()) or []
    try:
        return [
            _entry(entry, path.parent, environment)
            for entry in entries
            if "onlyWith" not in entry or shutil.which(entry["onlyWith"])
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected a list of entries with at least `image`, found {entries!r}") from error


def _entry(entry: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> Image:
    return Image(
        pattern=entry["image"],
        entrypoint=tuple(map(str, entry.get("entrypoint") or ())),
        command=tuple(map(str, entry.get("command") or ())),
        env={key: str(value) for key, value in (entry.get("env") or {}).items()},
        programs={
            key: tuple(_local(str(word), folder, environment) for word in words)
            for key, words in (entry.get("programs") or {}).items()
        },
        binds_all=tuple(entry.get("bindsAll") or ()),
    )


def _local(word: str, folder: Path, environment: Mapping[str, str]) -> str:
    word = _VARIABLE.sub(lambda found: environment.get(found["name"]) or found["default"] or "", word)
    # Links stay: where a virtual environment is shows in the path of its interpreter.
    return os.path.abspath(folder / word) if word.startswith(("./", "../")) else word


def public() -> list[Image]:
    """The images of others that need nothing but what every machine with the devcluster has."""
    return [
        Image("python:*", command=("python3",), programs=_python(_base_interpreter())),
        Image("busybox*", command=("sh",)),
        Image("alpine*", command=("sh",)),
        Image("registry.k8s.io/pause*", command=("sleep", "infinity")),
    ]


def _python(interpreter: str) -> dict[str, tuple[str, ...]]:
    return {"python": (interpreter,), "python3": (interpreter,)}


def _base_interpreter() -> str:
    # Not our own environment's: the python image has no packages either.
    return str(getattr(sys, "_base_executable", sys.executable))


def with_free_ports(
    argv: Sequence[str], flags: Iterable[str], ports: Iterable[int]
) -> tuple[list[str], dict[int, int]]:
    """Give a server that binds all addresses ports of its own.

    Returns the changed command and {port that was asked for: port given}. Where a flag is repeated its last value is
    the one that counts.
    """
    changed, given, supply = list(argv), {}, iter(ports)
    for flag in flags:
        places = [place for place, word in enumerate(changed) if word.startswith(f"{flag}=")]
        if places and (wanted := int(changed[places[-1]].partition("=")[2])):
            given[wanted] = next(supply)
            changed[places[-1]] = f"{flag}={given[wanted]}"
    return changed, given
