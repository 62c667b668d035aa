"""The conditions of a ModelService. They are read by people, by `kubectl wait` and, as kstatus, by GitOps tools.

Always there: `Ready`, what is wanted answers, on all replicas; `Available`, something answers; `Progressing`, on its
way to what is wanted; `Degraded`, something is wrong. There only while they hold, as kstatus wants it: `Reconciling`,
and `Stalled`, somebody has to change something. So is `Incomplete`: the model is served, and something beside it that
the spec asks for, such as an autoscaler, could not be made.

`Ready` alone has the message, so that `kubectl describe` shows it once; the others say their own fact.
"""

from dataclasses import dataclass

from trainyard_api.conditions import Observation
from trainyard_api.modelservice import ModelServiceStatus, Phase
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.conditions import RECONCILING, STALLED, truth

READY, AVAILABLE, PROGRESSING, DEGRADED = "Ready", "Available", "Progressing", "Degraded"
INCOMPLETE = "Incomplete"
WAITING_FOR_TRAINING = "WaitingForTraining"
SEE_READY = "see condition Ready"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How a ModelService is, and why.

    Attributes:
        answering: Pods that answer on the stable address.
        blocker: What is wrong.
    """

    phase: Phase
    reason: str
    message: str
    answering: int
    blocker: Blocker | None = None


def observations(state: ServiceState) -> list[Observation]:
    reason, message, blocker = state.reason, state.message, state.blocker
    # A service whose training runs is on its way: `kubectl wait --for=condition=Progressing=False` ends with its end.
    moving = state.phase == "Progressing" or reason == WAITING_FOR_TRAINING
    stalled = blocker is not None and not blocker.transient
    return [
        Observation(READY, truth(state.phase == "Ready"), reason, message),
        _available(state),
        Observation(PROGRESSING, truth(moving), reason, SEE_READY if moving else ""),
        Observation(DEGRADED, "True", blocker.reason, SEE_READY)
        if blocker
        else Observation(DEGRADED, "False", "AsExpected"),
        *([Observation(STALLED, "True", reason, f"change something first; {SEE_READY}")] if stalled else []),
        # What is stopped, or as it is wanted, is on its way to nowhere.
        *([Observation(RECONCILING, "True", reason, SEE_READY)] if not stalled and state.phase in _UNDER_WAY else []),
    ]


def incomplete(blocker: Blocker | None) -> list[Observation]:
    return [Observation(INCOMPLETE, "True", blocker.reason, blocker.message)] if blocker else []


def is_incomplete(status: ModelServiceStatus) -> bool:
    return any(condition.type == INCOMPLETE for condition in status.conditions)


_UNDER_WAY = ("Pending", "Progressing", "Degraded")


def _available(state: ServiceState) -> Observation:
    if state.answering:
        pods = "1 pod answers" if state.answering == 1 else f"{state.answering} pods answer"
        return Observation(AVAILABLE, "True", "Answering", pods)
    return Observation(AVAILABLE, "False", state.reason, "no pod answers")
