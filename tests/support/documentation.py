"""The specs in the documentation, for tests that run them."""

from pathlib import Path

import yaml

from support.pages import blocks
from support.trainer_runs import SpecBuilder

DOCS = Path(__file__).parents[2] / "docs"


def spec_in(page: str, name: str) -> SpecBuilder:
    """Return the TrainingJob of that name in a page of the documentation."""
    documents = [yaml.safe_load(block) for block in blocks(DOCS / page, "yaml")]
    (only,) = [
        found for found in documents if isinstance(found, dict) and found.get("metadata", {}).get("name") == name
    ]
    return SpecBuilder(only).named(name)


def code_in(page: str, file: str) -> str:
    """Return the Python file of that name in a page of the documentation, which its first line says."""
    (only,) = [block for block in blocks(DOCS / page, "python") if block.startswith(f"# {file}\n")]
    return only
