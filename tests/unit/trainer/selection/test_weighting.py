"""Which share each model has in a mean: only where that is better than the best alone."""

from typing import Any

import numpy as np
import pytest

from trainyard_trainer.selection.weighting import kind_of, mean_weights


def two_noisy_numbers(rows: int = 400) -> tuple[list[Any], Any]:
    """Return what two equally good models say, whose errors have nothing to do with each other."""
    rng = np.random.default_rng(1)
    labels = rng.normal(size=rows)
    return [(labels + rng.normal(size=rows))[:, None] for _ in range(2)], labels


def test_models_that_err_in_different_ways_are_averaged() -> None:
    outputs, labels = two_noisy_numbers()

    weights = mean_weights("number", outputs, labels)

    assert sum(weights) == pytest.approx(1)
    assert min(weights) > 0.3


def test_a_model_that_adds_nothing_has_no_share() -> None:
    outputs, labels = two_noisy_numbers()

    assert mean_weights("number", [labels[:, None], *outputs], labels) == (1.0, 0.0, 0.0)


def test_few_rows_leave_out_only_what_is_worse_beyond_chance() -> None:
    (noisy, _), labels = two_noisy_numbers(40)
    other, bad = 2 * labels[:, None] - noisy, np.full((40, 1), 9.0)

    assert mean_weights("number", [noisy, other, bad], labels) == (0.5, 0.5, 0.0)
    assert mean_weights("number", [noisy, other, labels[:, None]], labels) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("task", "outputs", "labels"),
    [
        pytest.param("binaryClassification", [[3.0], [-3.0]], [1, 0], id="two"),
        pytest.param("multiclassClassification", [[0.0, 4.0, 0.0], [4.0, 0.0, 0.0]], [1, 0], id="several"),
        pytest.param("multilabelClassification", [[3.0, -3.0], [-3.0, 3.0]], [[1, 0], [0, 1]], id="sets"),
    ],
)
def test_every_kind_of_answer_is_judged_by_its_own_loss(task: str, outputs: Any, labels: Any) -> None:
    good = np.tile(np.array(outputs), (50, 1))

    assert mean_weights(kind_of(task), [-good, good], np.concatenate([np.array(labels)] * 50)) == (0.0, 1.0)
