"""The commands of a page that a person would type, run as they stand."""

import re
import subprocess
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 600


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks of a language, those inside list items without their indentation."""
    found = re.findall(
        rf"^([ ]*)```{language}\n(.*?)^[ ]*```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [textwrap.dedent(text) for _, text in found]


def commands_in(page: Path, program: str) -> list[str]:
    """The lines of the page's shell blocks that start a program."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if line.startswith(f"{program} ")]


def run(commands: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What each command printed, by its verb; of several alike the last. AssertionError where one fails."""
    printed = {}
    for command in commands:
        told = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
        printed[command.split()[1]] = told.stdout
    return printed
