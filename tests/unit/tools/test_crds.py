"""The CRDs say what kubectl, the API server and the chart need."""

import json
import re
from pathlib import Path

import pytest
import yaml

from support.custom_resources import CRDS, SCHEMAS, nodes
from tools.crds import generated_files

ROOT = Path(__file__).parents[3]
KINDS = sorted(CRDS)


@pytest.mark.parametrize("path", sorted(generated_files()))
def test_a_committed_generated_file_is_what_make_crds_writes(path):
    assert (ROOT / path).read_text(encoding="utf-8") == generated_files()[path], "run `make crds`"


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_is_small_enough_for_a_plain_kubectl_apply(kind):
    # kubectl writes it into an annotation, and all annotations together have 256 KiB.
    assert len(json.dumps(CRDS[kind], separators=(",", ":"))) < 200_000


@pytest.mark.parametrize("kind", KINDS)
def test_the_written_manifest_reads_back_as_the_crd(kind):
    text = generated_files()[f"manifests/crds/{CRDS[kind]['spec']['names']['plural']}.yaml"]
    assert yaml.safe_load(text) == CRDS[kind]
    assert "&id" not in text


@pytest.mark.parametrize(("kind", "short"), [("ModelService", "ms"), ("TrainingJob", "tj"), ("TrainingProfile", "tp")])
def test_names_are_what_people_type(kind, short):
    names = CRDS[kind]["spec"]["names"]
    assert (names["kind"], names["singular"], names["plural"]) == (kind, kind.lower(), f"{kind.lower()}s")
    assert (names["shortNames"], names["categories"]) == ([short], ["trainyard"])
    assert CRDS[kind]["metadata"]["name"] == f"{names['plural']}.trainyard.dev"


@pytest.mark.parametrize(
    ("kind", "narrow"),
    [
        ("TrainingJob", ["State", "Progress", "Epoch", "Loss", "ETA", "Restarts", "GPUs", "Reason", "Age"]),
        ("ModelService", ["Ready", "Version", "Replicas", "State", "Canary", "URL", "Age"]),
        ("TrainingProfile", ["Default", "Max GPUs", "Age"]),
    ],
)
def test_kubectl_get_shows_the_columns_of_the_design(kind, narrow):
    columns = _version(kind)["additionalPrinterColumns"]
    assert [column["name"] for column in columns if not column.get("priority")] == narrow
    assert all(column["description"].endswith(".") for column in columns)


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_shows_a_field_of_the_schema_with_its_type(kind):
    fields = dict(nodes(SCHEMAS[kind]))
    for column in _version(kind)["additionalPrinterColumns"]:
        path = column["jsonPath"]
        if path == ".metadata.creationTimestamp":
            assert column["type"] == "date"
        else:
            field = fields[re.sub(r'\[\?\(@\.type=="\w+"\)\]', "[]", path)]
            assert field["type"] == column["type"], column


def test_a_model_service_scales_by_fields_of_its_schema():
    subresources = _version("ModelService")["subresources"]
    fields = dict(nodes(SCHEMAS["ModelService"]))
    paths = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
    types = [fields[subresources["scale"][path]]["type"] for path in paths]
    assert types == ["integer", "integer", "string"]


@pytest.mark.parametrize("kind", KINDS)
def test_status_is_a_subresource_where_there_is_one(kind):
    assert _version(kind)["subresources"].get("status") == ({} if "status" in SCHEMAS[kind]["properties"] else None)
    assert CRDS[kind]["spec"]["scope"] == ("Cluster" if kind == "TrainingProfile" else "Namespaced")


def _version(kind):
    (version,) = CRDS[kind]["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    return version
