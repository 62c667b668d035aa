"""The conditions of a ModelService. They are read by people, by `kubectl wait` and, as kstatus, by GitOps tools.

Always there: `Ready`, what is wanted answers, on all replicas; `Available`, something answers; `Progressing`, on its
way to what is wanted; `Degraded`, something is wrong. There only while they hold, as kstatus wants it: `Reconciling`,
and `Stalled`, somebody has to change something.
"""

from dataclasses import dataclass
from typing import Literal

from trainyard_api.conditions import Observation
from trainyard_api.modelservice import Phase
from trainyard_operator.serving.blockers import Problem

READY, AVAILABLE, PROGRESSING, DEGRADED = "Ready", "Available", "Progressing", "Degraded"
RECONCILING, STALLED = "Reconciling", "Stalled"


@dataclass(frozen=True, slots=True)
class State:
    """How a ModelService is, and why.

    Attributes:
        answering: Pods that answer on the stable address.
        problem: What is wrong.
    """

    phase: Phase
    reason: str
    message: str
    answering: int
    problem: Problem | None = None


def observations(state: State) -> list[Observation]:
    """Return the conditions of a state."""
    reason, message, problem = state.reason, state.message, state.problem
    moving = state.phase == "Progressing"
    stalled = problem is not None and not problem.passing
    return [
        Observation(READY, _truth(state.phase == "Ready"), reason, message),
        _available(state),
        Observation(PROGRESSING, _truth(moving), reason, message),
        Observation(DEGRADED, "True", problem.reason, problem.message)
        if problem
        else Observation(DEGRADED, "False", "AsExpected"),
        *([Observation(STALLED, "True", reason, message)] if stalled else []),
        # What is stopped, or as it is wanted, is on its way to nowhere.
        *([Observation(RECONCILING, "True", reason, message)] if not stalled and state.phase in _UNDER_WAY else []),
    ]


_UNDER_WAY = ("Pending", "Progressing", "Degraded")


def _available(state: State) -> Observation:
    if state.answering:
        pods = "1 pod answers" if state.answering == 1 else f"{state.answering} pods answer"
        return Observation(AVAILABLE, "True", "Answering", pods)
    return Observation(AVAILABLE, "False", state.reason, state.message)


def _truth(value: bool) -> Literal["True", "False"]:
    return "True" if value else "False"
