"""What a training is held to, whatever it learns from: a quality, that it is served as trained, and that it goes on."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from support.lessons import Rows
from support.model_server import over_grpc, over_rest, served
from support.trainer_runs import (
    Result,
    SpecBuilder,
    kinds_of_operations,
    run,
    shared_verifier,
    stop_at_checkpoint,
    weights,
)
from trainyard_api import names
from trainyard_trainer.export.verify import difference


@dataclass(frozen=True)
class Quality:
    """Bounds of a metric of the validation rows, and of the same on rows that are new to everybody."""

    metric: str
    at_least: float = -math.inf
    at_most: float = math.inf

    def __contains__(self, value: float) -> bool:
        return self.at_least <= value <= self.at_most


def accuracy(at_least: float) -> Quality:
    """Return the bound of a model for classes."""
    return Quality("val_accuracy", at_least)


@dataclass
class Witness:
    """Hears what a trainer says to sample rows, on its way to the process that checks the export."""

    rows: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    alive = True

    @contextlib.contextmanager
    def verifier(self) -> Iterator[Any]:
        with shared_verifier() as self._process:
            yield self

    def check(self, model: Path, inputs: dict[str, Any], expected: dict[str, Any]) -> int:
        self.rows, self.answers = inputs, expected
        return self._process.check(model, inputs, expected)


@dataclass(frozen=True)
class Served:
    """What a training came to, the manifest of its version, and what a client is answered to new rows."""

    result: Result
    manifest: dict[str, Any]
    answers: dict[str, Any]


def served_as_trained(
    spec: SpecBuilder, folder: Path, *, quality: Quality, new: Rows, extra: Mapping[str, str] | None = None
) -> Served:
    """Train in a folder to a quality, and serve the version that came of it.

    Over REST and gRPC it answers sample rows as it answered its trainer, those with missing values and texts never seen
    among them, and new rows as well as the validation rows; its graph is of core operations only.
    """
    witness = Witness()
    result = run(spec, folder, extra, verifier=witness.verifier)
    assert result.code == 0, result.stderr
    assert result.the("verified")
    assert result.report["metrics"][quality.metric] in quality, result.report["metrics"]
    (version,) = (folder / "store").glob("*/1")
    assert_core_operations(version)
    manifest = json.loads((version / names.MANIFEST_FILE).read_text())
    types = {name: each["dtype"] for name, each in manifest["signatures"]["serving_default"]["inputs"].items()}
    model = version.parent.name
    with served(version.parent, model, folder) as client:
        assert difference(over_rest(client, model, witness.rows), witness.answers) is None
        assert difference(over_grpc(client, model, witness.rows, types), witness.answers) is None
        answers = over_rest(client, model, new.columns)
    found = mean_quality(answers, new.labels)
    assert found in quality, f"{found} on new rows"
    return Served(result, manifest, answers)


def assert_core_operations(version: Path) -> None:
    """Refuse a graph with operations that TensorFlow Serving lacks; none is registered in tests beside the core's."""
    assert kinds_of_operations(version) <= set(tf.raw_ops.__dict__) | {"NoOp"}


def mean_quality(answers: Mapping[str, Any], wanted: Sequence[Any]) -> float:
    """Return the mean error of numbers, or the share of the rows whose class, or whose labels, are as wanted."""
    if "value" in answers:
        return float(np.mean(np.abs(np.subtract(answers["value"], wanted))))
    if "labels" in answers:
        found = [sorted(filter(None, each)) for each in answers["labels"]]
        wanted = [sorted(each) for each in wanted]
    else:
        found = answers["label"]
    return float(np.mean([one == other for one, other in zip(found, wanted, strict=True)]))


def trained_well(spec: SpecBuilder, folder: Path, *, accuracy: float, extra: Mapping[str, str] | None = None) -> Result:
    """Train in a folder, to more than an accuracy on the validation rows, and export what a fresh process checks."""
    result = run(spec, folder, extra)
    assert result.code == 0, result.stderr
    assert result.the("verified")
    assert result.report["metrics"]["val_accuracy"] > accuracy
    return result


def served_accuracy(folder: Path, rows: Mapping[str, Any], classes: Sequence[str]) -> float:
    """Return the share of rows that the one model in a folder's store gives their class, by core operations only."""
    (version,) = (folder / "store").glob("*/1")
    assert_core_operations(version)
    inputs = {name: tf.constant(values) for name, values in rows.items()}
    answer = tf.saved_model.load(str(version)).signatures["serving_default"](**inputs)
    return float(np.mean([each.decode() == own for each, own in zip(answer["label"].numpy(), classes, strict=True)]))


def ends_alike_when_stopped(spec: SpecBuilder, undisturbed: Path, folder: Path) -> None:
    """Stop a training at its first checkpoint, go on with it, and compare its weights with those of another folder."""
    with stop_at_checkpoint(folder):
        assert run(spec, folder).code == names.EXIT_STOPPED

    again = run(spec, folder)

    assert again.the("resumed")["step"] < again.report["steps"]
    expected, found = weights(undisturbed), weights(folder)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
