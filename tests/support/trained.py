"""What a training is held to, whatever it learns from: a quality, that it is served as trained, and that it goes on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from support.trainer_runs import Result, SpecBuilder, kinds_of_operations, run, stop_at_checkpoint, weights
from trainyard_operator.api import names


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
    assert kinds_of_operations(version) <= set(tf.raw_ops.__dict__) | {"NoOp"}
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
