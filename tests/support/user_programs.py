"""Programs of a user's own in tests: their modules, and jobs that train them."""

from pathlib import Path
from typing import Any

from support.trainer_runs import Result, SpecBuilder, a_spec, run
from trainyard_api import names


def a_program(data: Path, entry_point: str, *, task: str = "binaryClassification", **fields: Any) -> SpecBuilder:
    """Start from a small training of a function on the data at a path."""
    program = {"entryPoint": entry_point, "task": task, "source": {"configMap": {"name": "code"}}}
    return a_spec(data).with_program(python=program | fields)


def code(folder: Path, file: str, content: str) -> dict[str, str]:
    """Write a module, and return the environment that it is found in."""
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / file).write_text(content)
    return {names.CODE_DIR_ENV: str(folder / "code")}


def train(spec: SpecBuilder, folder: Path, file: str, content: str) -> Result:
    """Train with a module of this content."""
    return run(spec, folder, code(folder, file, content))
