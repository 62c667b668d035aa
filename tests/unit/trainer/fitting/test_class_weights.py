"""How much the rows of each class count."""

import numpy as np
import pytest

from support.trainer_models import Sample, rows
from trainyard_api.fit import ClassWeights
from trainyard_trainer.data.labels import ClassLabels, NumberLabels
from trainyard_trainer.encoding.columns import DENSE
from trainyard_trainer.errors import BadInput
from trainyard_trainer.fitting.class_weights import class_weights
from trainyard_trainer.fitting.steps import LABELS
from trainyard_trainer.tasks.task import LOSS

LABELLED = ClassLabels(("no", "yes"), ("no", "yes"), (30, 10))


def test_balanced_classes_count_the_same_and_all_rows_as_much_as_before() -> None:
    weights = class_weights(ClassWeights(balanced=True), LABELLED)

    assert weights is not None
    np.testing.assert_allclose(weights * [30, 10], [20, 20], rtol=1e-6)


def test_weights_go_by_name_and_are_one_where_not_given() -> None:
    assert class_weights(None, LABELLED) is None
    np.testing.assert_array_equal(class_weights(ClassWeights(weights={"yes": 5}), LABELLED), [1, 5])


def test_a_regression_has_no_classes_to_weigh() -> None:
    with pytest.raises(BadInput, match="in task regression there are no classes"):
        class_weights(ClassWeights(balanced=True), NumberLabels(mean=0, deviation=1))


def test_rows_of_a_class_without_weight_teach_nothing() -> None:
    block, order = rows(64), np.arange(64, dtype=np.int32)
    yes = block[LABELS] == 1
    spoilt = block | {DENSE: np.where(yes[:, None], block[DENSE], np.float32(9))}
    first, second = (Sample(class_weights=np.array([0, 2], np.float32)) for _ in range(2))

    one = first.runner.train(block, order, first=0, steps=8, totals=first.runner.zero_totals())
    other = second.runner.train(spoilt, order, first=0, steps=8, totals=second.runner.zero_totals())

    assert 0 < yes.sum() < 64
    assert one.totals[LOSS] == pytest.approx(other.totals[LOSS], rel=1e-5)
    for mine, theirs in zip(first.weights(), second.weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_validation_counts_all_rows_alike() -> None:
    block = rows(64)

    weighed = Sample(class_weights=np.array([0, 2], np.float32)).runner.validate(block)

    assert weighed[LOSS] == Sample().runner.validate(block)[LOSS]


@pytest.mark.parametrize("names", [("no", "yes"), ("off", "on"), ("False", "True"), ("n", "y")])
def test_true_and_false_stand_for_yes_and_no_which_yaml_reads_so(names: tuple[str, str]) -> None:
    labels = ClassLabels(names, names, (30, 10))

    np.testing.assert_array_equal(class_weights(ClassWeights(weights={"true": 5, "false": 2}), labels), [2, 5])


def test_other_classes_want_quotes() -> None:
    labels = ClassLabels(("maybe", "no", "yes"), ("maybe", "no", "yes"), (3, 3, 3))

    with pytest.raises(BadInput, match=r"names 'true', which is not a class .*write \"yes\" in quotes"):
        class_weights(ClassWeights(weights={"true": 5}), labels)
