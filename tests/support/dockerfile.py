"""A Dockerfile's instructions, read and carried out in plain folders where there is no container engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
_STEP_TIMEOUT = 900
_ABSOLUTE = re.compile(r"(?:^|(?<=[\s=:]))/(?=\w)")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its build arguments replaced: `words` is what a shell or the JSON form makes of `text`."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Return the words of the instruction."""
        parsed: list[str] = json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)
        return parsed


def instructions(program: str, **arguments: str) -> Iterator[Instruction]:
    """Yield the instructions of a program's Dockerfile, with build arguments as given or at their defaults."""
    text = (ROOT / program / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    values = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.MULTILINE)) | arguments
    for line in filter(None, lines):
        name, rest = line.split(maxsplit=1)
        yield Instruction(name, re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], rest))


def context_files() -> list[str]:
    """Return the tracked files that .dockerignore lets through to a build."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [
        name
        for name in tracked.split("\0")
        if name and any(fnmatch(parent, pattern) for parent in _with_parents(name) for pattern in allowed)
    ]


def _with_parents(name: str) -> list[str]:
    return [name, *(str(parent) for parent in Path(name).parents)]


@dataclass(slots=True)
class Image:
    """The last stage of a replayed Dockerfile: a folder that stands for its root, and how its program is started."""

    root: Path
    base: Path
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)

    def run(self, *arguments: str, module: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the image's program, or another of its modules, with no more than a container has."""
        command = ["python", "-m", module] if module else self.entrypoint
        return subprocess.run(
            [shutil.which(command[0], path=self.environment["PATH"]) or command[0], *command[1:], *arguments],
            cwd=self.root / "app", env=self.environment, capture_output=True, text=True, timeout=_STEP_TIMEOUT,
        )  # fmt: skip


def replay(program: str, folder: Path, python: str, **arguments: str) -> Image:
    """Carry out a Dockerfile's steps below a folder with the given Python as the base image's; return the result."""
    stages: dict[str, Image] = {}
    image = None
    for step in instructions(program, **arguments):
        match step.name:
            case "FROM":
                image = _base_image(folder / str(len(stages)), python)
                stages[step.words[2] if len(step.words) > 2 else ""] = image
            case "COPY":
                assert image
                _copy(image, stages, step.words)
            case "RUN":
                assert image
                _run(image, step.text)
            case "ENV":
                assert image
                for variable, _, value in (word.partition("=") for word in step.words):
                    value = _below(image.root, value).replace("$PATH", image.environment["PATH"])
                    image.environment[variable] = value
            case "WORKDIR":
                assert image
                (image.root / step.words[0].lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "ENTRYPOINT":
                assert image
                image.entrypoint = step.words
            case _:
                assert step.name in {"ARG", "LABEL", "USER", "EXPOSE"}, f"{step.name} is not known here"
    assert image
    return image


def _base_image(root: Path, python: str) -> Image:
    root.mkdir(parents=True)
    base = root / "usr"
    subprocess.run([python, "-m", "venv", base], check=True, timeout=_STEP_TIMEOUT)
    return Image(root, base, {"PATH": f"{base / 'bin'}:/usr/bin:/bin", "HOME": str(root)})


def _below(root: Path, text: str) -> str:
    return _ABSOLUTE.sub(f"{root}/", text)


def _copy(image: Image, stages: dict[str, Image], words: list[str]) -> None:
    target = image.root / words[-1].lstrip("/")
    if words[0].startswith("--from="):
        origin = stages[words[0].removeprefix("--from=")].root
        shutil.copytree(origin / words[1].lstrip("/"), target, symlinks=True)
        return
    for source in words[:-1]:
        found = [name for name in context_files() if name == source or name.startswith(f"{source}/")]
        assert found, f"{source} does not reach the build"
        for name in found:
            path = target / Path(name).relative_to(source) if name != source else target / Path(source).name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, path)


def _run(image: Image, command: str) -> None:
    # How to reach the index is the machine's business, as it is for a container engine.
    reaching = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    subprocess.run(
        ["sh", "-ec", _below(image.root, command)],
        cwd=image.root, env=image.environment | reaching, check=True, timeout=_STEP_TIMEOUT,
    )  # fmt: skip
