"""The card of a model version, made from its manifest."""

import copy
from typing import Any

import pytest

from trainyard_trainer.export.model_card import model_card

MANIFEST: dict[str, Any] = {
    "name": "churn",
    "created": "2026-11-23T10:00:00Z",
    "trainingJob": {"name": "churn", "namespace": "team", "uid": "u-1"},
    "signatures": {
        "serving_default": {
            "inputs": {
                "größe (cm)": {"dtype": "float32", "shape": [None]},
                "photo_bytes": {"dtype": "string", "shape": [None]},
                "pixels": {"dtype": "float32", "shape": [None, 2]},
                "rooms": {"dtype": "int64", "shape": [None]},
            },
            "outputs": {"label": {"dtype": "string", "shape": [None]}},
        },
    },
    "metrics": {"loss": 0.25, "val_loss": 0.123456789},
    "training": {"reason": "MaxEpochs", "family": "mlp", "task": "binaryClassification", "seed": 42},
    "data": {"rows": 1200, "validationRows": 200, "label": "left", "features": ["größe (cm)", "pixels"]},
    "code": {"python": "3.11.7", "image": "me/train:1"},
}


def test_the_card_says_what_a_person_asks() -> None:
    lines = model_card(MANIFEST).splitlines()

    assert [line for line in lines if line.startswith("#")] == [
        "# churn", "## What it does", "## How to call it", "## Data", "## How good it is", "## Limits",
        "## Where it comes from",
    ]  # fmt: skip
    assert "A model of family `mlp` that tells two classes apart: `left`, from these columns." in lines
    assert "| val_loss | `0.123457` |" in lines
    assert "| TrainingJob | `team/churn` |" in lines
    assert "| image | `me/train:1` |" in lines
    assert "| rows | 1200 |" in lines


def test_the_request_has_a_value_of_the_right_form_for_every_input() -> None:
    card = model_card(MANIFEST)

    for line in ('"größe (cm)": 0.0,', '"b64": ""', '"rooms": 0'):
        assert line in card
    assert '"pixels": [\n        0.0,\n        0.0\n      ]' in card


@pytest.mark.parametrize(
    ("rows", "limit"),
    [
        (0, "- No rows were held back: nothing is known of how good it is on rows it has not seen."),
        (60, "- 60 rows are few: the metrics would differ on others."),
        (200, "- It was measured on 200 rows. Rows that come about in another way may fare worse."),
    ],
)
def test_the_limits_follow_from_what_was_measured(rows: int, limit: str) -> None:
    manifest = copy.deepcopy(MANIFEST)
    manifest["data"]["validationRows"] = rows

    assert limit in model_card(manifest).splitlines()


def test_slices_are_tables_with_their_rows() -> None:
    slices = {
        "colour": [
            {"value": "red", "rows": 120, "metrics": {"loss": 0.1, "auc": 0.9}},
            {"value": None, "rows": 5, "metrics": {"loss": 0.3}},
            {"others": 7, "rows": 75, "metrics": {"loss": 0.2, "auc": 0.8}},
        ]
    }

    lines = model_card(MANIFEST | {"slices": slices}).splitlines()

    first = lines.index("| value | rows | auc | loss |")
    assert lines[first + 2 : first + 5] == [
        "| `red` | 120 | 0.9 | 0.1 |",
        "| (missing) | 5 |  | 0.3 |",
        "| 7 other values | 75 | 0.8 | 0.2 |",
    ]
    assert not any("was not measured by groups" in line for line in lines)


def test_nothing_a_column_is_called_becomes_markup() -> None:
    data = MANIFEST["data"] | {"label": "a|b\n# ``c`` <script>", "features": [f"c{i}" for i in range(60)]}

    card = model_card(MANIFEST | {"data": data})

    assert "``` a\\|b # ``c`` <script> ```, from these columns." in card
    assert "and 10 more, which trainyard.json lists." in card
    assert card.count("\n# ") == 0
