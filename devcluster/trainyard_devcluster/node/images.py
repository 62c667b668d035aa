"""Which local command stands for an image."""

import os
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
    """The entry for a container's image: the first that matches, else its own command where this machine has it."""
    name = container["image"]
    for image in images:
        if image.matches(name):
            return image
    command = container.get("command") or [""]
    if shutil.which(command[0]):
        return Image(name)
    raise ImageError(
        f'no local command stands for image "{name}". Give the node agent a file (--images FILE) with an entry such as '
        f'{{image: "{name}", entrypoint: [python, -m, my_program]}}, or give the container a command that this '
        "machine has"
    )


def load(path: Path) -> list[Image]:
    """Read a YAML list of entries: `image`, and `entrypoint`, `command`, `env`, `programs`, `bindsAll` as needed."""
    entries = yaml.safe_load(path.read_text()) or []
    try:
        return [_entry(entry) for entry in entries]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected a list of entries with at least `image`, found {entries!r}") from error


def _entry(entry: Mapping[str, Any]) -> Image:
    return Image(
        pattern=entry["image"],
        entrypoint=tuple(map(str, entry.get("entrypoint") or ())),
        command=tuple(map(str, entry.get("command") or ())),
        env={key: str(value) for key, value in (entry.get("env") or {}).items()},
        programs={key: tuple(words) for key, words in (entry.get("programs") or {}).items()},
        binds_all=tuple(entry.get("bindsAll") or ()),
    )


def trainer_python(environ: Mapping[str, str], project: Path) -> str:
    """The interpreter that has TensorFlow: by variable, else the project's own environment, else this one."""
    if named := environ.get("TRAINYARD_TRAINER_PYTHON"):
        return named
    beside = project / ".venv" / "trainer" / "bin" / "python"
    return str(beside) if beside.exists() else sys.executable


def builtin(operator: str, trainer: str, model_server: str | None) -> list[Image]:
    """The images that Trainyard and its tests use.

    `operator` and `trainer` are interpreters; `model_server` is a real `tensorflow_model_server`, if there is one.
    """
    return [
        _own("trainyard/operator*", "trainyard_operator", operator),
        _own("trainyard/trainer*", "trainyard_trainer", trainer),
        _serving(trainer, model_server),
        Image("python:*", command=("python3",), programs=_python(_base_interpreter())),
        Image("busybox*", command=("sh",)),
        Image("alpine*", command=("sh",)),
        Image("registry.k8s.io/pause*", command=("sleep", "infinity")),
    ]


def discover() -> list[Image]:
    """The built-in entries, with the interpreters and programs of this machine."""
    project = Path(__file__).resolve().parents[3]
    return builtin(sys.executable, trainer_python(os.environ, project), shutil.which("tensorflow_model_server"))


def _own(pattern: str, module: str, python: str) -> Image:
    return Image(pattern, ("python", "-m", module), env={"PYTHONUNBUFFERED": "1"}, programs=_python(python))


def _serving(python: str, model_server: str | None) -> Image:
    server = (model_server,) if model_server else (python, "-m", "trainyard_modelserver")
    official = (
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=$(MODEL_NAME)",
        "--model_base_path=$(MODEL_BASE_PATH)/$(MODEL_NAME)",
    )
    return Image(
        "tensorflow/serving*",
        ("/usr/bin/tf_serving_entrypoint.sh", *official),
        env={"MODEL_NAME": "model", "MODEL_BASE_PATH": "/models"},
        programs={"/usr/bin/tf_serving_entrypoint.sh": server, "tensorflow_model_server": server},
        binds_all=("--port", "--rest_api_port") if model_server else (),
    )


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
