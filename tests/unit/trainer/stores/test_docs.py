"""docs/reference/stores.md: its examples are accepted, and it names what the code knows."""

import re
from pathlib import Path

import pytest
import yaml

from support.documentation import DOCS
from support.pages import blocks
from trainyard_api.modelservice import ModelService
from trainyard_trainer.spec import parse_job
from trainyard_trainer.stores.filesystems import _OPENERS

ROOT = Path(__file__).parents[4]
PAGE = (DOCS / "reference/stores.md").read_text(encoding="utf-8")
CODE = "".join(each.read_text() for each in (ROOT / "trainer" / "trainyard_trainer" / "stores").glob("*.py"))


def test_the_examples_are_accepted() -> None:
    job, secret, service = map(yaml.safe_load, blocks(DOCS / "reference/stores.md", "yaml"))

    spec = parse_job(job).spec

    assert spec.data.source.secret_ref is not None
    assert spec.data.source.secret_ref.name == secret["metadata"]["name"]
    assert spec.output.store.uri == "s3://models/prod"
    assert set(secret["stringData"]) <= used()
    assert ModelService.model_validate(service, extra="forbid").spec.model.secret_ref is not None


def used() -> set[str]:
    """Return the names that the code asks for."""
    calls = re.findall(r'access\.(?:get|file)\(([^)]*)\)|variable = ("[A-Z_]+")', CODE)
    return {name for call in calls for name in re.findall(r'"([A-Z_0-9]+)"', "".join(call))}


@pytest.mark.parametrize("name", sorted(used() - {"AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"}))
def test_every_key_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE or name in {"AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY"}


@pytest.mark.parametrize("scheme", sorted(set(_OPENERS) - {"abfs"}))
def test_every_scheme_is_explained(scheme: str) -> None:
    assert f"{scheme}://" in PAGE
