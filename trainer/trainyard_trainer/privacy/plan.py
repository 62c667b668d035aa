"""How much noise a private training needs, and how much privacy its steps have spent. Does not need TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainyard_api.privacy import Privacy
from trainyard_trainer.errors import BadInput

EPSILON = "epsilon"
"""The metric that tells what was spent."""
_LARGEST_NOISE = 1e6


@dataclass(frozen=True, slots=True)
class PrivacyPlan:
    """The numbers of a private training.

    Every step takes each of `rows` rows with chance `batch_size` / `rows`, cuts the gradient of each to the norm `clip`
    and adds Gaussian noise of deviation `noise` * `clip` to their sum.
    """

    noise: float
    clip: float
    delta: float
    rows: int
    batch_size: int
    steps: int

    @property
    def sampling_rate(self) -> float:
        """The chance of a row to be in a step."""
        return self.batch_size / self.rows

    def epsilon(self, steps: int) -> float:
        """Return what so many steps spend: an upper bound, by Rényi differential privacy.

        After Mironov, Talwar and Zhang, "Rényi differential privacy of the sampled Gaussian mechanism" (2019), where
        data sets are neighbours if one has a row more.
        """
        return _epsilon(self.noise, self.sampling_rate, steps, self.delta)

    def describe(self, steps: int) -> dict[str, Any]:
        """Return what the manifest says about it after so many steps."""
        return {
            "mechanism": "DP-SGD with Poisson sampling",
            "accountant": "RDP",
            "neighbours": "one training row more or less",
            "epsilon": self.epsilon(steps),
            "delta": self.delta,
            "noiseMultiplier": self.noise,
            "l2NormClip": self.clip,
            "samplingRate": self.sampling_rate,
            "steps": steps,
            "covers": ["weights"],
            "doesNotCover": [
                "metrics",
                "statistics and vocabularies of the columns",
                "number of rows",
                "label classes",
            ],
        }


def plan_privacy(wanted: Privacy, *, rows: int, batch_size: int, steps: int) -> PrivacyPlan:
    """Return the plan for a training of at most `steps` steps.

    Raises:
        BadInput: delta promises nothing, or no noise is enough.
    """
    delta = wanted.delta if wanted.delta is not None else rows**-1.1
    if delta >= 1 / rows:
        raise BadInput(
            f"privacy.delta is {delta:g}, but with {rows:,} training rows it has to be less than {1 / rows:.3g}: "
            "otherwise giving away a row whole would count as private"
        )
    noise = wanted.noise_multiplier
    if noise is None:
        noise = _noise_for(wanted.target_epsilon or 0.0, lambda z: _epsilon(z, batch_size / rows, steps, delta))
    return PrivacyPlan(noise, wanted.l2_norm_clip, delta, rows, batch_size, steps)


def _noise_for(target: float, epsilon: Callable[[float], float]) -> float:
    """Return the least noise, to a thousandth of it, whose epsilon is not above the target."""
    low, high = 0.0, 1.0
    while epsilon(high) > target:
        low, high = high, 2 * high
        if high > _LARGEST_NOISE:
            raise BadInput(
                f"privacy.targetEpsilon {target:g} cannot be reached with any noise: use a larger one, more rows, "
                "fewer fit.epochs or a smaller fit.batchSize"
            )
    while high - low > 1e-3 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if epsilon(middle) <= target else (middle, high)
    return high


def _epsilon(noise: float, rate: float, steps: int, delta: float) -> float:
    import dp_accounting  # takes a second, which only private trainings have to wait
    from dp_accounting.rdp import RdpAccountant

    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    spent = RdpAccountant().compose(dp_accounting.SelfComposedDpEvent(step, steps))
    return float(spent.get_epsilon(delta))
