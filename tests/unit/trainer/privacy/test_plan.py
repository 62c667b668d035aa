"""How private a training is: against published numbers, and what is refused."""

import dp_accounting
import pytest

from trainyard_api.privacy import Privacy
from trainyard_trainer.errors import BadInput
from trainyard_trainer.privacy.plan import PrivacyPlan, plan_privacy


def test_the_epsilon_of_a_well_known_example() -> None:
    # The tutorial of TensorFlow Privacy: 60,000 digits, batches of 256, noise 1.1, 60 epochs, delta 1e-5.
    plan = PrivacyPlan(noise=1.1, clip=1.0, delta=1e-5, rows=60_000, batch_size=256, steps=60 * 60_000 // 256)

    assert plan.epsilon(plan.steps) == pytest.approx(2.6, abs=0.03)
    assert plan.epsilon(plan.steps // 4) < plan.epsilon(plan.steps)


@pytest.mark.parametrize("noise", [0.8, 2.0, 5.0])
def test_one_step_on_all_rows_is_the_gaussian_mechanism(noise: float) -> None:
    plan = PrivacyPlan(noise=noise, clip=1.0, delta=1e-6, rows=1000, batch_size=1000, steps=1)

    exact = dp_accounting.get_epsilon_gaussian(noise, 1e-6)

    assert exact <= plan.epsilon(1) < 1.15 * exact


@pytest.mark.parametrize("target", [0.5, 2.0, 8.0])
def test_the_noise_for_a_target_is_hardly_more_than_needed(target: float) -> None:
    plan = plan_privacy(Privacy(target_epsilon=target), rows=5000, batch_size=100, steps=500)

    assert 0.98 * target < plan.epsilon(500) <= target


def test_delta_follows_from_the_rows() -> None:
    plan = plan_privacy(Privacy(noise_multiplier=1.0), rows=1000, batch_size=10, steps=10)

    assert plan.delta == pytest.approx(1000**-1.1)
    assert plan.describe(10)["epsilon"] == plan.epsilon(10) > 0


def test_a_delta_that_would_let_a_row_leak_is_refused() -> None:
    with pytest.raises(BadInput, match="with 1,000 training rows it has to be less than 0"):
        plan_privacy(Privacy(noise_multiplier=1.0, delta=0.001), rows=1000, batch_size=10, steps=10)


def test_a_target_that_no_noise_reaches_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be reached with any noise"):
        plan_privacy(Privacy(target_epsilon=1e-9), rows=1000, batch_size=1000, steps=10**6)
