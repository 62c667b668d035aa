"""A mean of models: probabilities are averaged, and come out as the task's outputs again."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from trainyard_trainer.selection.mean import MeanModel


class FixedModel:
    """A model that says the same to every row."""

    def __init__(self, *outputs: float) -> None:
        self._outputs = tf.constant([outputs])
        self.weights: list[Any] = []

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        return tf.repeat(self._outputs, tf.shape(inputs["x"])[0], axis=0)


def said(kind: Any, *models: FixedModel, shares: tuple[float, ...] = (0.75, 0.25)) -> Any:
    inputs = {f"{number}/x": tf.zeros([2]) for number in range(len(models))}
    return MeanModel(models, shares, kind)(inputs).numpy()


def test_numbers_are_averaged() -> None:
    np.testing.assert_allclose(said("number", FixedModel(4.0), FixedModel(0.0)), [[3.0], [3.0]])


def test_log_odds_are_those_of_the_mean_probability() -> None:
    outputs = said("logOdds", FixedModel(np.log(4.0)), FixedModel(0.0))  # 0.8 and 0.5

    np.testing.assert_allclose(tf.sigmoid(outputs), [[0.725], [0.725]], rtol=1e-5)


def test_logits_are_those_of_the_mean_probabilities() -> None:
    outputs = said("logits", FixedModel(*np.log([0.5, 0.3, 0.2])), FixedModel(0.0, 0.0, 0.0))

    expected = 0.75 * np.array([0.5, 0.3, 0.2]) + 0.25 / 3
    np.testing.assert_allclose(tf.nn.softmax(outputs), [expected, expected], rtol=1e-5)


@pytest.mark.parametrize(("kind", "outputs"), [("logOdds", (200.0,)), ("logits", (200.0, -200.0))])
def test_models_that_are_all_sure_stay_finite(kind: Any, outputs: tuple[float, ...]) -> None:
    assert np.isfinite(said(kind, FixedModel(*outputs), FixedModel(*outputs))).all()
