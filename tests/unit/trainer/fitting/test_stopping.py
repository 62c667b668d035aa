"""When a training stops, and which epoch is its best."""

from collections.abc import Mapping
from typing import Any, cast

import pytest

from trainyard_api.fit import NoImprovement, StopWhen
from trainyard_trainer.errors import BadInput
from trainyard_trainer.fitting.stopping import Reason, StopPolicy, StopState
from trainyard_trainer.tasks.metrics import metric_names


def run(policy: StopPolicy, epochs: list[Mapping[str, float]]) -> tuple[str | None, int, StopState]:
    """Return the reason, the epoch it was given in, and the memory at that point."""
    state = StopState()
    for epoch, metrics in enumerate(epochs, start=1):
        verdict = policy.judge(state, epoch=epoch, metrics=metrics)
        state = verdict.state
        if verdict.reason:
            return verdict.reason, epoch, state
    return None, len(epochs), state


def losses(*values: float) -> list[Mapping[str, float]]:
    return [{"loss": value, "val_loss": value} for value in values]


def watching(metric: str, epochs: int, min_delta: float = 0.0) -> StopPolicy:
    return StopPolicy(
        StopWhen(no_improvement=NoImprovement(metric=metric, epochs=epochs, min_delta=min_delta)), epochs=100
    )


def test_the_last_epoch_ends_a_training_without_conditions() -> None:
    assert run(StopPolicy(StopWhen(), epochs=3), losses(3, 2, 1, 0))[:2] == ("MaxEpochs", 3)


def test_a_loss_below_the_threshold_ends_it() -> None:
    policy = StopPolicy(StopWhen(loss_below=0.5), epochs=100)

    assert run(policy, losses(0.9, 0.5, 0.4))[:2] == ("LossThreshold", 3)


def test_a_threshold_reached_in_the_last_epoch_is_the_reason() -> None:
    assert run(StopPolicy(StopWhen(loss_below=0.5), epochs=2), losses(0.9, 0.4))[0] == "LossThreshold"


@pytest.mark.parametrize(
    ("when", "steps", "seconds", "reason"),
    [
        ({}, 10**9, 1e9, None),
        ({"steps": 50}, 49, 1e9, None),
        ({"steps": 50}, 50, 0.0, "MaxSteps"),
        ({"timeLimit": "1m30s"}, 10**9, 89.9, None),
        ({"timeLimit": "1m30s"}, 1, 90.0, "TimeLimit"),
        ({"timeLimit": "1m30s", "steps": 50}, 50, 90.0, "TimeLimit"),
    ],
)
def test_steps_and_time_end_it_within_an_epoch(
    when: dict[str, Any], steps: int, seconds: float, reason: Reason | None
) -> None:
    assert StopPolicy(StopWhen(**when), epochs=3).cut(steps=steps, seconds=seconds) == reason


@pytest.mark.parametrize(
    ("cut", "loss", "epochs", "reason"),
    [
        ("TimeLimit", 0.1, 1, "TimeLimit"),
        ("MaxSteps", 0.1, 1, "LossThreshold"),
        ("MaxSteps", 0.9, 1, "MaxSteps"),
        (None, 0.1, 1, "LossThreshold"),
        (None, 0.9, 1, "MaxEpochs"),
        (None, 0.9, 2, None),
    ],
)
def test_of_several_reasons_the_first_in_order_is_given(
    cut: Reason | None, loss: float, epochs: int, reason: Reason | None
) -> None:
    policy = StopPolicy(StopWhen(loss_below=0.5), epochs=epochs)

    assert policy.judge(StopState(), epoch=1, metrics={"loss": loss}, cut=cut).reason == reason


def test_the_last_weights_are_kept_where_the_best_are_not_wanted() -> None:
    watched = NoImprovement(restore_best_weights=False)

    assert watching("loss", 3).keeps_best
    assert not StopPolicy(StopWhen(no_improvement=watched), epochs=3).keeps_best


def test_no_improvement_for_long_enough_ends_it_and_the_best_epoch_is_remembered() -> None:
    reason, epoch, state = run(watching("val_loss", 2), losses(0.9, 0.5, 0.6, 0.4, 0.4, 0.5))

    assert (reason, epoch) == ("EarlyStopping", 6)
    assert (state.best, state.best_epoch) == (0.4, 4)


def test_a_change_that_is_too_small_is_no_improvement() -> None:
    assert run(watching("val_loss", 2, min_delta=0.1), losses(0.9, 0.85, 0.81))[:2] == ("EarlyStopping", 3)


def test_more_is_better_for_accuracies_and_areas() -> None:
    rising: list[Mapping[str, float]] = [{"loss": 1.0, "val_auc": value} for value in (0.5, 0.6, 0.7)]

    assert run(watching("val_auc", 1), rising)[2].best_epoch == 3


def test_an_epoch_without_the_metric_counts_as_no_improvement() -> None:
    # The area under the curve does not exist where the validation rows are all of one class.
    assert run(watching("val_auc", 2), [{"loss": 1.0}, {"loss": 1.0}])[:2] == ("EarlyStopping", 2)


def test_a_policy_that_goes_on_from_its_memory_decides_like_one_that_never_stopped() -> None:
    policy, values = watching("val_loss", 3), losses(0.9, 0.5, 0.6, 0.7, 0.8)
    state = StopState()
    for epoch, metrics in enumerate(values, start=1):
        verdict = policy.judge(StopState(**cast(dict[str, Any], state.to_wire())), epoch=epoch, metrics=metrics)
        state = verdict.state

    assert verdict.reason == "EarlyStopping"
    assert state == run(policy, values)[2]


def test_an_unknown_metric_is_refused_with_the_known_ones() -> None:
    names = metric_names("binaryClassification", validation=True)

    with pytest.raises(BadInput) as raised:
        watching("val_acuracy", 3).check(names)

    assert "did you mean 'val_accuracy'?" in str(raised.value)
    assert "it has loss, accuracy, val_loss, val_accuracy, val_auc" in str(raised.value)


def test_a_validation_metric_without_validation_rows_is_refused() -> None:
    with pytest.raises(BadInput, match="val_loss"):
        watching("val_loss", 3).check(metric_names("regression", validation=False))
