"""The gate: which model versions may take over from the one that serves, judged by the metrics of their trainings."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trainyard_api.conditions import Observation
from trainyard_api.gate import GateRule
from trainyard_operator.serving.source import ModelVersion
from trainyard_operator.workloads.conditions import truth

GATE_PASSED, GATE_REFUSED = "GatePassed", "GateRefused"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A model version that may not take over, with the number that decided."""

    model: ModelVersion
    why: str

    def __str__(self) -> str:
        training = f" (TrainingJob {self.model.training_job!r})" if self.model.training_job else ""
        return f"{self.model.title}{training} does not pass spec.gate: {self.why}"


@dataclass(frozen=True, slots=True)
class Gated:
    """What came of the gate.

    Attributes:
        passed: The newest version that may be served.
        refused: Those that are newer, and may not; the newest first.
    """

    passed: ModelVersion | None
    refused: tuple[Refusal, ...] = ()

    @property
    def summary(self) -> str:
        """What to tell of those that may not be served."""
        if not self.refused:
            return ""
        others = len(self.refused) - 1
        return f"{self.refused[0]}" + (f"; nor do the {others} before it" if others else "")


def choose(offers: Iterable[ModelVersion], gate: Sequence[GateRule], serving: ModelVersion | None) -> Gated:
    """Return the first version that passes, and those before it.

    It depends on nothing but metrics, which do not change: so a version that is refused once is refused until somebody
    changes the gate, or another version serves.

    Args:
        offers: Versions, the newest first.
        gate: The rules. All of them must hold.
        serving: The version that has the traffic. It is in already, and never put out by a gate.
    """
    refused: list[Refusal] = []
    for model in offers:
        why = None if model == serving else refusal(gate, model, serving)
        if why is None:
            return Gated(model, tuple(refused))
        refused.append(Refusal(model, why))
    return Gated(None, tuple(refused))


def refusal(gate: Sequence[GateRule], candidate: ModelVersion, serving: ModelVersion | None) -> str | None:
    """Return why a version may not take over, or None where it may."""
    return next((why for rule in gate if (why := _against(rule, candidate, serving))), None)


def condition(gated: Gated) -> Observation:
    """Return the condition of a service that has a gate."""
    if gated.refused:
        return Observation(GATE_PASSED, truth(False), GATE_REFUSED, gated.summary)
    if gated.passed is None:
        return Observation(GATE_PASSED, "Unknown", "NoModel", "no model is there to be judged")
    return Observation(GATE_PASSED, truth(True), "Passed", f"{gated.passed.title} is the newest, and may be served")


def _against(rule: GateRule, candidate: ModelVersion, serving: ModelVersion | None) -> str | None:
    name, value = rule.metric, _number(candidate.metrics, rule.metric)
    if value is None:
        known = ", ".join(sorted(candidate.metrics)[:8]) or "none"
        said = candidate.metrics.get(name)
        return f"its {name} is {said}" if said is not None else f"its training has no metric {name} (it has {known})"
    if rule.at_least is not None and value < rule.at_least:
        return f"its {name} is {value:g}, less than {rule.at_least:g} (atLeast)"
    if rule.at_most is not None and value > rule.at_most:
        return f"its {name} is {value:g}, more than {rule.at_most:g} (atMost)"
    if rule.no_worse_than_serving is None or serving is None:
        return None
    return _against_serving(rule, value, serving, rule.no_worse_than_serving)


def _against_serving(rule: GateRule, value: float, serving: ModelVersion, tolerance: float) -> str | None:
    name, reference = rule.metric, _number(serving.metrics, rule.metric)
    if reference is None:
        return (
            f"{serving.title}, which serves, has no metric {name} to compare with: "
            "leave noWorseThanServing out until a version with one serves"
        )
    # Metrics have six digits, so sums of them are rounded to tell what people would.
    worse = round(value - reference if rule.less_is_better else reference - value, 12)
    if worse <= tolerance:
        return None
    than = f"more than {tolerance:g} worse" if tolerance else "worse"
    return f"its {name} is {value:g}, {than} than the {reference:g} of {serving.title}, which serves"


def _number(metrics: Mapping[str, str], name: str) -> float | None:
    """Return a metric, or None where it is missing or not finite."""
    try:
        value = float(metrics.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
