"""The commands of a page that a person would type, run as they stand."""

import re
import subprocess
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 600


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks of a language, those inside list items without their indentation."""
    found = re.findall(
        rf"^([ ]*)```{language}\n(.*?)^[ ]*```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [textwrap.dedent(text) for _, text in found]


def commands_in(page: Path, *programs: str) -> list[str]:
    """The lines of the page's shell blocks that start one of the programs."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if line.split(" ")[0] in programs]


def run(commands: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What each command printed, by its verb; of several alike the last. AssertionError where one fails.

    One that ends with `&` runs until the last is done.
    """
    printed = {}
    with ExitStack() as running:
        for command in commands:
            if command.endswith(" &"):
                printed[command.split()[1]] = running.enter_context(_beside(command.removesuffix(" &"), environment))
                continue
            told = subprocess.run(
                ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS
            )
            assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
            printed[command.split()[1]] = told.stdout
    return printed


@contextmanager
def _beside(command: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a command in the background; give its first line, after which it is ready."""
    arguments = ["bash", "-c", f"exec {command}"]
    with subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()
