"""The commands of a page that a person would type, run as they stand."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 600


def kubectl_commands(page: Path) -> list[str]:
    """The lines of the page's shell blocks that use kubectl."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("kubectl")]


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
