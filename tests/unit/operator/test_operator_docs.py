"""What docs/reference/operator.md says of settings and metrics is complete."""

import re
from dataclasses import fields
from pathlib import Path

from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.settings import Settings
from trainyard_operator.training.metrics import TrainingMetrics

TEXT = (Path(__file__).parents[3] / "docs" / "reference/operator.md").read_text()


def test_every_setting_is_explained() -> None:
    explained = {name for row in re.findall(r"^\| ([a-z_, ]+) \|", TEXT, re.MULTILINE) for name in row.split(", ")}

    assert {each.name for each in fields(Settings)} <= explained


def test_every_metric_of_ours_is_explained() -> None:
    registry = Metrics("test").registry
    TrainingMetrics(registry)
    explained = {
        name for row in re.findall(r"^\| (`[a-z_`, ]+`) \|", TEXT, re.MULTILINE) for name in re.findall("[a-z_]+", row)
    }
    ours = {
        each.name + ("_total" if each.type == "counter" else "")
        for each in registry.collect()
        if not each.name.startswith(("python_", "process_"))
    }

    assert ours == explained
