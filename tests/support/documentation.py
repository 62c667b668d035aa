"""The specs in the documentation, for tests that run them."""

import re
from pathlib import Path

import yaml

from support.trainer_runs import SpecBuilder

DOCS = Path(__file__).parents[2] / "docs"


def spec_in(page: str, name: str) -> SpecBuilder:
    """Return the TrainingJob of that name in a page of the documentation."""
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    documents = [yaml.safe_load(each) for each in blocks]
    (only,) = [each for each in documents if isinstance(each, dict) and each.get("metadata", {}).get("name") == name]
    return SpecBuilder(only).named(name)


def code_in(page: str, file: str) -> str:
    """Return the Python file of that name in a page of the documentation, which its first line says."""
    (only,) = re.findall(
        rf"```python\n(# {re.escape(file)}\n.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL
    )
    return str(only)
