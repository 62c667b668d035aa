"""The conditions of a TrainingJob. They are read by people, by `kubectl wait` and, as kstatus, by GitOps tools.

Always there: `Running`, `Suspended`, `Succeeded` and `Failed`; the last two are final. There only while they hold, as
kstatus wants it: `Reconciling`, on its way to an end, and `Stalled`, somebody has to change something.

One of them has the message, so that `kubectl describe` shows it once: the end that holds, else `Stalled` or `Running`.
"""

from dataclasses import dataclass
from typing import Literal

from trainyard_api.conditions import Observation
from trainyard_api.trainingjob import ModelStatus, Phase
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.conditions import RECONCILING, STALLED, truth

PROGRESS_STALE, POD_UNREACHABLE = "ProgressStale", "PodUnreachable"
"""Reasons of a training that runs, as far as anybody can see."""
SUSPENDED_BY_OTHER = "SuspendedByOther"
"""Reason of a training whose Job somebody else has suspended, such as a queue."""
QUEUED = "Queued"
"""Reason of a training that its queue has not admitted yet, or not any more."""
RUNNING, SUSPENDED = "Running", "Suspended"
DATA_CHANGED = "DataChanged"
"""Condition of a training that has trained again: whether its data was other than before."""
MAY_NOT_START = "MayNotStart"
"""There only while something was found, before the pods exist, that may keep them from running."""
SCHEDULE_INVALID = "ScheduleInvalid"
"""There only while a training that has ended has a schedule that nobody can follow."""
SUCCEEDED: Literal["Succeeded"] = "Succeeded"
FAILED: Literal["Failed"] = "Failed"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What a TrainingJob is doing, why, and what is in its way.

    Attributes:
        blocker: What keeps it from running; of one that failed, why.
    """

    phase: Phase
    reason: str
    message: str = ""
    blocker: Blocker | None = None

    @property
    def stalled(self) -> bool:
        """Whether somebody has to change something."""
        return self.blocker is not None and not self.blocker.transient


def observations(state: TrainingState) -> list[Observation]:
    """Return the conditions of a state."""
    phase, reason, message = state.phase, state.reason, state.message
    final = phase in ("Succeeded", "Failed")
    suspended = _suspended(state)
    running = "" if final or state.stalled or suspended.message else message
    stalled = f"see condition {phase}" if final else message
    return [
        Observation(RUNNING, truth(phase in ("Running", "Exporting")), reason, running),
        suspended,
        _end(SUCCEEDED, state, final),
        _end(FAILED, state, final),
        *([Observation(STALLED, "True", reason, stalled)] if state.stalled else []),
        *([Observation(RECONCILING, "True", reason, "see condition Running")] if _under_way(state, final) else []),
    ]


def _suspended(state: TrainingState) -> Observation:
    if state.phase != "Suspended":
        return Observation(SUSPENDED, "False", "NotSuspended")
    return Observation(
        SUSPENDED, "True", state.reason, state.message if state.reason in (SUSPENDED_BY_OTHER, QUEUED) else ""
    )


def _end(condition: Literal["Succeeded", "Failed"], state: TrainingState, final: bool) -> Observation:
    if final:
        holds = state.phase == condition
        return Observation(condition, truth(holds), state.reason, state.message if holds else "")
    return Observation(condition, "False", "NotFinished")


def _under_way(state: TrainingState, final: bool) -> bool:
    # A suspended job is as its spec wants it: nothing is under way.
    return not final and not state.stalled and state.phase != "Suspended"


def new_data(before: ModelStatus | None, after: ModelStatus | None) -> list[Observation]:
    """Return whether a rerun has found other data; nothing where one of both versions does not say what it had."""
    if before is None or after is None or not (before.data_fingerprint and after.data_fingerprint):
        return []
    now, then = f"version {after.version} was trained on", f"version {before.version}"
    if before.data_fingerprint == after.data_fingerprint:
        return [Observation(DATA_CHANGED, "False", "SameData", f"{now} the same data as {then}")]
    message = f"{now} other data ({after.data_fingerprint}) than {then} ({before.data_fingerprint})"
    return [Observation(DATA_CHANGED, "True", DATA_CHANGED, message)]
