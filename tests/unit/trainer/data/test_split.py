"""Which rows are for validation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard_trainer.data.split import Splitter


def split(strata: list[int], fraction: float, seed: int = 1, pieces: int = 1) -> np.ndarray:
    splitter = Splitter(fraction, seed)
    return np.concatenate([splitter.validation(each) for each in np.array_split(np.array(strata), pieces)])


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.2, 0.3333, 0.5, 0.7, 0.9])
def test_every_class_gives_its_share_to_a_row(fraction: float) -> None:
    strata = [0] * 357 + [1] * 212 + [2] * 50

    held_back = split(strata, fraction)

    for each in range(3):
        rows = held_back[np.array(strata) == each]
        assert abs(rows.sum() - fraction * len(rows)) <= 1


def test_it_is_the_same_however_the_rows_stream_by() -> None:
    strata = list(np.random.default_rng(3).integers(0, 4, 1000))

    assert (split(strata, 0.2) == split(strata, 0.2, pieces=17)).all()


def test_another_seed_chooses_other_rows() -> None:
    assert (split([0] * 500, 0.2, seed=1) != split([0] * 500, 0.2, seed=2)).any()


def test_the_rows_are_spread_but_follow_no_period() -> None:
    chosen = np.flatnonzero(split([0] * 10_000, 0.1))

    assert set(np.bincount(chosen // 1000)) == {100}
    assert min(np.bincount(chosen % 10, minlength=10)) > 60


def test_nothing_is_held_back_for_a_fraction_of_zero() -> None:
    assert not split([0, 1, 0], 0.0).any()


def test_no_rows_are_no_problem() -> None:
    assert len(Splitter(0.5, 1).validation(np.zeros(0, np.int64))) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.floats(0.001, 0.9), st.integers(0, 2**32 - 1))
def test_a_class_is_never_without_a_training_row(strata: list[int], fraction: float, seed: int) -> None:
    held_back = split(strata, fraction, seed)

    for each in set(strata):
        assert not held_back[np.array(strata) == each].all()


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_share_the_rows_but_for_the_first_of_each_class(folds: int) -> None:
    strata = np.random.default_rng(3).integers(0, 4, 500)

    which = np.array([Splitter(1 / folds, 1, fold=fold).validation(strata) for fold in range(folds)])

    first = [int(np.argmax(strata == each)) for each in range(4)]
    assert np.flatnonzero(which.sum(axis=0) != 1).tolist() == sorted(first)
    assert which.sum(axis=0).max() == 1
    for each in range(4):
        counts = which[:, strata == each].sum(axis=1)
        assert counts.max() - counts.min() <= 2
