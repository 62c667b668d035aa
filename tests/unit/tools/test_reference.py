"""The field reference holds every field once, with its type, default and meaning."""

import re

import pytest

from support.custom_resources import SCHEMAS, nodes
from tools.reference import reference

TEXT = reference(SCHEMAS)
SECTIONS = {
    match[1]: match[2] for match in re.finditer(r"^### (\w+ `[^`]+`)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
OBJECTS = [
    pytest.param(kind, path.lstrip("."), node, id=kind + path)
    for kind, schema in SCHEMAS.items()
    for path, node in nodes(schema)
    if path not in ("", ".metadata") and "properties" in node
]


@pytest.mark.parametrize(("kind", "path", "node"), OBJECTS)
def test_every_object_has_a_section_with_a_row_for_each_of_its_fields(kind, path, node):
    rows = re.findall(r"^\| `(\w+)` \|", SECTIONS[f"{kind} `{path}`"], re.MULTILINE)
    assert rows == list(node["properties"])


@pytest.mark.parametrize(
    "row",
    [
        "| `seed` | integer, 0 to 4294967295 | `42` | Makes the split, the order of rows",
        "| `l2NormClip` | number, above 0 to 1000000 | `1` | The largest norm of the gradient of one row",
        "`multiclassClassification`, `multilabelClassification`, `regression` | required | What is predicted",
        "| `suspend` | boolean | `false` |",
        "| `requests` | map of quantity |  | What the scheduler reserves. |",
        "| `started` | time |  |",
        "| `hidden` | list of integer, 1 to 1048576 | `[128, 64]` |",
    ],
)
def test_a_row_says_type_default_and_meaning(row):
    assert row in TEXT


def test_rules_are_told_beside_the_fields_they_speak_of():
    assert "* Rule: set exactly one of keras, python, container and predict." in SECTIONS["TrainingJob `spec.program`"]
