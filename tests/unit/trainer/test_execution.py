"""Steps in other precisions and compiled by XLA train the same model as plain ones."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from support.trainer_models import Sample, rows
from trainyard_trainer.execution import Execution, computing_in

BLOCK = rows(100, slots=(3, 5))
ORDER = np.random.default_rng(5).permutation(100).astype(np.int32)
XLA = Execution(jit_compile=True)


def train(sample: Sample, calls: list[int]) -> dict[str, Any]:
    """Run the 13 steps of an epoch of 100 rows in calls of the given numbers of steps; returns the metrics."""
    totals: Mapping[str, float] = sample.runner.zero_totals()
    first = 0
    for steps in calls:
        done = sample.runner.train(BLOCK, ORDER, first=first, steps=steps, totals=totals)
        assert (done.bad_step, done.weights_finite) == (-1, True)
        totals, first = done.totals, first + steps * 8
    assert totals["count"] == 100
    return sample.task.metrics(totals)


@pytest.mark.parametrize(
    ("execution", "tolerance"),
    [(XLA, 1e-4), (Execution("mixed_bfloat16"), 0.02), (Execution("mixed_float16"), 0.02)],
    ids=str,
)
def test_the_loss_is_that_of_plain_steps(execution: Execution, tolerance: float) -> None:
    plain, other = Sample(slots=(3, 5)), Sample(slots=(3, 5), execution=execution)

    assert train(other, [13])["loss"] == pytest.approx(train(plain, [13])["loss"], rel=tolerance)
    assert {each.dtype for each in other.model.get_weights()} == {np.dtype(np.float32)}


def test_a_compiled_epoch_is_the_same_bit_for_bit_however_it_is_cut_into_calls() -> None:
    whole, cut = (Sample(slots=(3, 5), dropout=0.3, execution=XLA) for _ in range(2))

    assert train(whole, [13]) == train(cut, [1, 5, 6, 1])
    for one, other in zip(whole.weights(), cut.weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_computes_in_its_own_precision_again_afterwards() -> None:
    model = Sample(hidden=[8, 4]).model
    features = {name: value for name, value in rows(5).items() if name != "labels"}
    before = np.array(model(features))

    with computing_in(model, "mixed_bfloat16"):
        inside = np.array(model(features))
        assert {layer.compute_dtype for layer in model.layers[:-1]} == {"bfloat16"}

    assert model.layers[-1].compute_dtype == "float32"
    np.testing.assert_array_equal(np.array(model(features)), before)
    assert 0 < np.abs(inside - before).max() < 0.05


def test_what_is_checked_before_training_is_checked_before_tensorflow_is_loaded() -> None:
    loaded = "import sys, trainyard_trainer.train; print(sorted({'keras', 'tensorflow'} & sys.modules.keys()))"

    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
