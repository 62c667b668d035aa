"""The graph answers as ydf does, whatever the table: missing numbers, categories, and those of no training row."""

from typing import Any

import numpy as np
import pytest
import ydf

from trainyard_trainer.encoding.columns import DENSE, SLOTS, TableInputs
from trainyard_trainer.trees.flatten import flatten
from trainyard_trainer.trees.forest import Forest
from trainyard_trainer.trees.model import Combine, ForestModel, ForestShape

TASKS = {
    "numbers": (ydf.Task.REGRESSION, 0),
    "two classes": (ydf.Task.CLASSIFICATION, 2),
    "five classes": (ydf.Task.CLASSIFICATION, 5),
}


class ATable:
    """A random table: its shape, its gaps and its rule come from the seed."""

    def __init__(self, seed: int, classes: int) -> None:
        rng = np.random.default_rng(seed)
        self.dense, self.widths = int(rng.integers(1, 6)), [int(each) for each in rng.integers(3, 90, rng.integers(3))]
        self._rng, self._gaps, self._classes = rng, rng.uniform(0, 0.4, self.dense), classes
        self._weights = rng.normal(size=self.dense)

    @property
    def inputs(self) -> TableInputs:
        return TableInputs(self.dense, tuple(self.widths))

    def rows(self, count: int, *, unseen: bool) -> tuple[dict[str, Any], Any]:
        """Return the model's inputs and the labels; item 0 is a category of no training row."""
        numbers = self._rng.normal(size=(count, self.dense)).astype(np.float32).round(2)
        slots = [self._rng.integers(0 if unseen else 1, width, count) for width in self.widths]
        score = numbers @ self._weights + sum((each % 3 for each in slots), np.zeros(count))
        numbers[self._rng.uniform(size=numbers.shape) < self._gaps] = np.nan
        labels = np.searchsorted(np.quantile(score, np.arange(1, self._classes) / self._classes), score)
        block = {DENSE: numbers, SLOTS: np.stack([np.zeros(count), *slots], 1)[:, 1:].astype(np.int32)}
        return block, labels if self._classes else score.astype(np.float32)


def as_ydf(block: dict[str, Any]) -> dict[str, Any]:
    columns = [*block[DENSE].T, *block[SLOTS].T]
    return {str(i): np.ascontiguousarray(each) for i, each in enumerate(columns)}


def compiled(model: Any, table: ATable, combine: Combine, outputs: int) -> ForestModel:
    names = [each.name for each in model.data_spec().columns]
    widths = {table.dense + i: width for i, width in enumerate(table.widths)}
    trees = [
        flatten(tree.root, [int(n) if n.isdigit() else -1 for n in names], widths, features=table.dense + len(widths))
        for tree in model.iter_trees()
    ]
    start = model.initial_predictions() if combine == "sum" else np.zeros(1, np.float32)
    return ForestModel(Forest.joined(trees), ForestShape(table.inputs, outputs, combine), start)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("boosted", [True, False], ids=["boosted", "independent"])
@pytest.mark.parametrize("kind", TASKS)
def test_it_answers_like_ydf(kind: str, boosted: bool, seed: int) -> None:
    task, classes = TASKS[kind]
    table = ATable(seed, classes)
    block, labels = table.rows(400, unseen=False)
    features = [ydf.Column(str(i), ydf.Semantic.NUMERICAL) for i in range(table.dense)] + [
        ydf.Column(str(table.dense + i), ydf.Semantic.CATEGORICAL, is_already_integerized=True)
        for i in range(len(table.widths))
    ]
    settings: dict[str, Any] = {"label": "y", "task": task, "features": features, "num_trees": 20}
    if classes:
        settings["label_classes"] = [str(i) for i in range(classes)]
    learner = (
        ydf.GradientBoostedTreesLearner(
            **settings, validation_ratio=0.0, early_stopping="NONE", apply_link_function=False
        )
        if boosted
        else ydf.RandomForestLearner(**settings, winner_take_all=False)
    )
    model = learner.train(as_ydf(block) | {"y": labels}, verbose=0)
    outputs = {0: 1, 2: 1}.get(classes, classes)
    combine: Combine = "sum" if boosted else "mean"

    new, _ = table.rows(300, unseen=True)
    new[DENSE][0] = np.nan
    answers = np.asarray(compiled(model, table, combine, outputs)(new))

    expected = np.asarray(model.predict(as_ydf(new))).reshape(300, outputs)
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-5)
    assert np.ptp(expected) > 0.3


def test_a_table_with_categories_may_have_trees_that_use_none() -> None:
    asks_a_number = ydf.tree.NonLeaf(
        condition=ydf.tree.NumericalHigherThanCondition(missing=False, score=1.0, attribute=0, threshold=0.5),
        pos_child=ydf.tree.Leaf(value=ydf.tree.RegressionValue(num_examples=1, value=1.0)),
        neg_child=ydf.tree.Leaf(value=ydf.tree.RegressionValue(num_examples=1, value=-1.0)),
    )
    asks_a_category = ydf.tree.NonLeaf(
        condition=ydf.tree.CategoricalIsInCondition(missing=False, score=1.0, attribute=1, mask=[2]),
        pos_child=ydf.tree.Leaf(value=ydf.tree.RegressionValue(num_examples=1, value=20.0)),
        neg_child=ydf.tree.Leaf(value=ydf.tree.RegressionValue(num_examples=1, value=10.0)),
    )
    shape = ForestShape(TableInputs(1, (40,)), 1, "sum")
    both = Forest.joined([flatten(root, [0, 1], {1: 40}, features=2) for root in (asks_a_number, asks_a_category)])
    rows = {DENSE: np.array([[0.0], [1.0]], np.float32), SLOTS: np.array([[2], [39]], np.int32)}

    def answers(forest: Forest) -> list[float]:
        return np.asarray(ForestModel(forest, shape, np.zeros(1, np.float32))(rows))[:, 0].tolist()

    assert answers(both.between(0, 1)) == [-1.0, 1.0]
    assert answers(both.between(1, 2)) == [20.0, 10.0]
    assert answers(both) == [19.0, 11.0]


def test_where_all_trees_agree_the_logits_are_finite() -> None:
    leaf = Forest(
        column=np.zeros(1, np.int32),
        threshold=np.zeros(1, np.float32),
        missing=np.zeros(1, bool),
        words_at=np.zeros(1, np.int32),
        child=np.zeros(1, np.int32),
        leaf=np.zeros(1, np.int32),
        words=np.zeros(0, np.int32),
        values=np.ones((1, 1), np.float32),
        counts=np.array([[1, 0, 1]]),
        depth=np.zeros(1, np.int32),
        scores=np.zeros((1, 1)),
    )
    shape = ForestShape(TableInputs(1, ()), 1, "meanLogOdds")

    row = {DENSE: np.zeros((1, 1), np.float32), SLOTS: np.zeros((1, 0), np.int32)}

    (logit,) = np.asarray(ForestModel(leaf, shape, np.zeros(1, np.float32))(row))[0]

    assert 16 < logit < 17


def test_a_condition_the_graph_does_not_know_is_refused() -> None:
    condition = ydf.tree.NumericalSparseObliqueCondition(
        missing=False, score=0.0, attributes=[0], weights=[1.0], threshold=0.0, na_replacements=[]
    )
    leaf = ydf.tree.Leaf(value=ydf.tree.RegressionValue(num_examples=1, value=0.0))
    root = ydf.tree.NonLeaf(condition=condition, pos_child=leaf, neg_child=leaf)

    with pytest.raises(TypeError, match="NumericalSparseOblique"):
        flatten(root, [0], {}, features=1)
