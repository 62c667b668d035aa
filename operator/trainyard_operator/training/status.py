"""The status of a TrainingJob: a function of its spec, what was recorded, what is observed, and the time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from trainyard_api.conditions import Observation, merge
from trainyard_api.failure import Failure
from trainyard_api.meta import Condition
from trainyard_api.names import TRAINER_PORT
from trainyard_api.profile import ProfileStatus
from trainyard_api.roles import RoleName
from trainyard_api.times import from_rfc3339, to_rfc3339
from trainyard_api.trainingjob import (
    CheckpointStatus,
    ModelStatus,
    Phase,
    PredictionsStatus,
    Progress,
    TrainingJob,
    TrainingJobStatus,
)
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import accounting, blockers, conditions
from trainyard_operator.training.attempt_pods import (
    Workers,
    ended_with,
    has_trained,
    is_ending,
    is_training,
    node_of,
    running_since,
)
from trainyard_operator.training.attempts import End, Ledger, Next
from trainyard_operator.training.conditions import (
    MAY_NOT_START,
    POD_UNREACHABLE,
    PROGRESS_STALE,
    QUEUED,
    SCHEDULE_INVALID,
    SUSPENDED_BY_OTHER,
    TrainingState,
)
from trainyard_operator.training.failure_card import TOO_MANY_STOPS, classify
from trainyard_operator.training.observed import ObservedTraining
from trainyard_operator.training.preflight import Preflight
from trainyard_operator.training.progress import Heard, Snapshot, at_end, fresh
from trainyard_operator.training.termination_message import result_of
from trainyard_operator.training.timeouts import Timer
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.conditions import STALLED
from trainyard_operator.workloads.diagnosis import PATIENCE
from trainyard_operator.workloads.pods import address
from trainyard_operator.workloads.profiles import status_of
from trainyard_operator.workloads.text import clean, reason_word

Result = ModelStatus | PredictionsStatus
"""What a program makes."""


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """Everything a status is made from, besides the spec and the status before.

    Attributes:
        blocker: What keeps an attempt from being started, or its children from being written.
        expired: The timer that is over, and ends an attempt or the whole.
        preflight: What was found before the pods of the attempt exist, where this pass has looked.
        log_tail: The last lines of the trainer whose end is new.
        refusals: Why the API server takes no more pods of a role, where it has said so.
    """

    observed: ObservedTraining
    ledger: Ledger
    next: Next
    blocker: Blocker | None
    heard: Heard
    now: datetime
    expired: Timer | None = None
    preflight: Preflight | None = None
    log_tail: Sequence[str] = ()
    refusals: Mapping[RoleName, str] = field(default_factory=dict)

    @property
    def live(self) -> Snapshot | None:
        """What the trainer says now: an answer of a while ago says nothing of it."""
        at = self.heard.at
        return self.heard.live if at is not None and self.now - at < PATIENCE else None


def compute(job: TrainingJob, facts: TrainingFacts) -> TrainingJobStatus:
    """Return the status."""
    before = job.status or TrainingJobStatus()
    result = _result(job, facts)
    model = result if isinstance(result, ModelStatus) else None
    state = _state(job, before, facts, result)
    ledger = facts.ledger
    ended = state.phase in ("Succeeded", "Failed")
    last, checkpoint = ledger.last, _checkpoint(before, facts)
    gpus = job.spec.roles.gpus
    return TrainingJobStatus(
        observed_generation=int(job.metadata.get("generation", 0)),
        phase=state.phase,
        conditions=_conditions(job, facts, state, model),
        progress=_progress(before, facts, state),
        attempts=list(ledger.attempts),
        restarts=ledger.restarts,
        disruptions=ledger.disruptions,
        failure=_failure(before, facts, state, job.spec.roles.lead),
        last_checkpoint=checkpoint,
        # A run that has made nothing yet, or never will, takes nothing away from who serves what is there.
        model=model or before.model,
        predictions=result if isinstance(result, PredictionsStatus) else before.predictions,
        start_time=before.start_time or _first_creation(facts.observed),
        completion_time=((last and last.ended) or to_rfc3339(facts.now)) if ended else None,
        gpus=gpus,
        strategy=job.spec.roles.strategy(),
        gpu_seconds=accounting.add(
            before.gpu_seconds,
            accounting.newly_ended(before.attempts, ledger.attempts),
            gpus=gpus,
            checkpoint=checkpoint.time if checkpoint else None,
        ),
        profile=_profile(before, facts.observed),
        run=before.run,
        # A word that is there from the start asks for nothing more, nor does one that comes before the start.
        rerun=before.rerun if before.run or before.start_time else job.spec.run_policy.rerun,
        last_schedule_time=before.last_schedule_time,
        next_schedule_time=before.next_schedule_time,
        first_attempt=before.first_attempt,
        runs=before.runs,
    )


def _profile(before: TrainingJobStatus, observed: ObservedTraining) -> ProfileStatus | None:
    """Return the profile of the newest attempt whose Job is there, or else the last one that was known."""
    if not observed.jobs:
        return before.profile
    return status_of(observed.jobs[max(observed.jobs)])


def rejected(
    manifest: Manifest, before: TrainingJobStatus, blocker: Blocker, *, running: int | None, now: datetime
) -> TrainingJobStatus:
    """Return the status of a TrainingJob whose spec cannot be worked with; nothing is started for it.

    Args:
        running: The attempt that goes on, started by an operator that took the spec. It is let alone, and stays as it
            is recorded: how it ended is for an operator to tell that takes the spec again.
    """
    state = _rejection(before, blocker, running)
    generation = int(manifest["metadata"].get("generation", 0))
    kind = classify(blocker.reason, "", None)
    failure = Failure(reason=state.reason, reason_class=kind, message=state.message)
    changes = {
        "observed_generation": generation,
        "phase": state.phase,
        "conditions": merge(before.conditions, conditions.observations(state), now=now, generation=generation),
        "progress": before.progress and before.progress.model_copy(update={"eta": None}),
        "failure": failure if running is None else before.failure,
    }
    return before.model_copy(update=changes)


def _rejection(before: TrainingJobStatus, blocker: Blocker, running: int | None) -> TrainingState:
    phase: Phase = "Failed"
    if running is not None:
        phase = "Running" if before.phase in ("Pending", "Failed") else before.phase
        blocker = replace(blocker, message=f"{blocker.message}; attempt {running} goes on, and nothing follows it")
    elif before.attempts and before.attempts[-1].outcome == "Running":
        blocker = replace(blocker, message=f"{blocker.message}; attempt {before.attempts[-1].n} has ended meanwhile")
    return TrainingState(phase, blocker.reason, blocker.message, blocker)


def seen(
    before: TrainingJobStatus, generation: int, *, now: datetime, schedule: str | None = None
) -> TrainingJobStatus:
    """Return the status of a job that has ended, said of a later spec: what can still change in it is its schedule.

    Args:
        schedule: What is wrong with that.
    """
    ended = [
        condition.model_copy(update={"observed_generation": generation})
        for condition in before.conditions
        if condition.type != SCHEDULE_INVALID
    ]
    message = f"spec.runPolicy.schedule: {schedule}; nothing is trained by it until you change it"
    wrong = [Observation(SCHEDULE_INVALID, "True", "InvalidSchedule", message)] if schedule else []
    said = merge(before.conditions, wrong, now=now, generation=generation)
    return before.model_copy(update={"observed_generation": generation, "conditions": [*ended, *said]})


def stalled_for(status: TrainingJobStatus, now: datetime) -> float:
    """Return for how many seconds something has been in the way."""
    since = (one.last_transition_time for one in status.conditions if one.type == STALLED)
    return max(((now - from_rfc3339(time)).total_seconds() for time in since), default=0.0)


def _conditions(
    job: TrainingJob, facts: TrainingFacts, state: TrainingState, model: ModelStatus | None
) -> list[Condition]:
    before = job.status or TrainingJobStatus()
    generation = int(job.metadata.get("generation", 0))
    observed = [
        *conditions.observations(state),
        *_concern(job, before, facts),
        *conditions.new_data(before.model, model),
    ]
    return merge(before.conditions, observed, now=facts.now, generation=generation)


def _concern(job: TrainingJob, before: TrainingJobStatus, facts: TrainingFacts) -> list[Observation]:
    """Return what may keep the pods from running. Looked for once, before they exist, and said until they run."""
    if facts.preflight is not None:
        concern = facts.preflight.concern
        return [Observation(MAY_NOT_START, "True", concern.reason, concern.message)] if concern else []
    begun = _begun(facts.observed.pods.get(facts.next.n, {}))
    if facts.next.step != "continue" or begun >= job.spec.roles.of(job.spec.roles.lead).replicas:
        return []
    known = [one for one in before.conditions if one.type == MAY_NOT_START]
    return [Observation(MAY_NOT_START, "True", one.reason, one.message) for one in known]


def _first_creation(observed: ObservedTraining) -> str | None:
    times = (child["metadata"].get("creationTimestamp") for child in observed.jobs.values())
    return next((str(time) for time in times if time), None)


def _result(job: TrainingJob, facts: TrainingFacts) -> Result | str | None:
    """Return what the program has made, None before there is anything, or what is wrong with it."""
    news = facts.ledger.news
    if facts.next.step != "succeed" or news is None or news.report is None:
        return None
    return result_of(job, news.report)


def _state(
    job: TrainingJob, before: TrainingJobStatus, facts: TrainingFacts, result: Result | str | None
) -> TrainingState:
    match facts.next.step:
        case "succeed":
            return _success(facts, result)
        case "fail":
            return _defeat(job, before, facts)
        case "start" | "wait":
            return _waiting(job, before, facts)
        case "continue":
            return _going(job, before, facts)


def _success(facts: TrainingFacts, result: Result | str | None) -> TrainingState:
    if isinstance(result, Result):
        news = facts.ledger.news
        reason = reason_word(news.reason if news else "", "Trained")
        return TrainingState("Succeeded", reason, (news and clean(news.message)) or f"made {result.uri}")
    blocker = Blocker("InvalidResult", f"the program ended well, but {result}")
    return TrainingState("Failed", blocker.reason, blocker.message, blocker)


def _defeat(job: TrainingJob, before: TrainingJobStatus, facts: TrainingFacts) -> TrainingState:
    reason, message = _cause(before, facts.ledger.news)
    failed = sum(attempt.outcome == "Failed" for attempt in facts.ledger.attempts)
    if facts.expired is not None and facts.expired.final and facts.ledger.news is None:
        reason, message = facts.expired.reason, f"{facts.expired.message}; the last attempt: {message}"
    elif facts.ledger.last and facts.ledger.last.outcome == "Stopped":
        reason, message = (
            TOO_MANY_STOPS,
            f"it was stopped from outside more than {job.spec.run_policy.max_disruptions} times without a checkpoint "
            f"that got further (spec.runPolicy.maxDisruptions); the last: {message}",
        )
    elif not (facts.ledger.news and facts.ledger.news.final) and failed > 1:
        most = job.spec.run_policy.max_restarts
        message = f"failed {failed} times, and spec.runPolicy.maxRestarts is {most}; the last: {message}"
    return TrainingState("Failed", reason, message, Blocker(reason, message))


def _waiting(job: TrainingJob, before: TrainingJobStatus, facts: TrainingFacts) -> TrainingState:
    if job.spec.run_policy.suspend:
        return TrainingState("Suspended", "Suspended", "spec.runPolicy.suspend is true")
    if facts.blocker is not None:
        return TrainingState("Pending", facts.blocker.reason, facts.blocker.message, facts.blocker)
    last = facts.ledger.last
    if last is None:
        return TrainingState("Pending", "Created", "the first attempt is about to start")
    _, message = _cause(before, facts.ledger.news)
    return TrainingState("Starting", "Restarting", f"attempt {last.n} ended: {message}; the next one starts soon")


def _going(job: TrainingJob, before: TrainingJobStatus, facts: TrainingFacts) -> TrainingState:
    n = facts.next.n
    child, pods = facts.observed.jobs[n], facts.observed.pods.get(n, {})
    if job.spec.run_policy.suspend:
        return TrainingState(
            "Suspended", "Suspended", "spec.runPolicy.suspend is true; the training goes on from its checkpoint"
        )
    if facts.blocker is not None and facts.blocker.reason in (SUSPENDED_BY_OTHER, QUEUED):
        return TrainingState("Suspended", facts.blocker.reason, facts.blocker.message)
    if facts.blocker is not None:
        return TrainingState("Pending", facts.blocker.reason, facts.blocker.message, facts.blocker)
    if is_ending(child) or has_trained(pods.get(0)):
        phase: Phase = before.phase if before.phase in ("Running", "Exporting") else "Starting"
        return TrainingState(phase, phase, f"attempt {n} has ended, and its Job is about to say how")
    if blocker := blockers.of_job(job, child, pods, now=facts.now, refusal=facts.refusals.get(job.spec.roles.lead, "")):
        return TrainingState("Pending", blocker.reason, blocker.message, blocker)
    if blocker := _of_followers(job, facts):
        return TrainingState("Pending", blocker.reason, blocker.message, blocker)
    there = _begun(pods)
    if there < (count := job.spec.roles.of(job.spec.roles.lead).replicas):
        return TrainingState("Starting", "Starting", _starting(n, there, count))
    return _running(job, before, facts)


def _of_followers(job: TrainingJob, facts: TrainingFacts) -> Blocker | None:
    """Return what keeps pods of other roles from coming; once the chief trains, it goes on without those it lost."""
    if facts.live is not None and facts.live.phase != "starting":
        return None
    pods = facts.observed.follower_pods.get(facts.next.n, {})
    for role, child in facts.observed.followers.get(facts.next.n, {}).items():
        if child["spec"].get("suspend") or ended_with(child) is not None:
            continue
        refusal = facts.refusals.get(role, "")
        if blocker := blockers.of_job(job, child, pods.get(role, {}), now=facts.now, role=role, refusal=refusal):
            return blocker
    return None


def _begun(pods: Workers) -> int:
    """Return how many of the pods train, or have trained."""
    return sum(is_training(pod) or has_trained(pod) for pod in pods.values())


def _starting(n: int, there: int, count: int) -> str:
    if count == 1:
        return f"the pod of attempt {n} is starting"
    return f"the pods of attempt {n} are starting: {there} of {count} run"


def _running(job: TrainingJob, before: TrainingJobStatus, facts: TrainingFacts) -> TrainingState:
    n = facts.next.n
    pods = facts.observed.pods.get(n, {})
    nodes = sorted({node for pod in pods.values() if (node := node_of(pod))})
    where = f" on node {nodes[0]}" if len(nodes) == 1 else f" on {len(nodes)} nodes" if nodes else ""
    phase, message = _running_phase(job, before, facts.live), f"attempt {n}{where}"
    if facts.live is not None:
        return TrainingState(phase, phase, message)
    silent = _silent_since(before, facts, pods.get(0))
    if silent is None or facts.now - silent < PATIENCE:
        return TrainingState(phase, phase, message)
    if _answered(before, facts, pods.get(0)):
        return TrainingState(
            phase, PROGRESS_STALE, f"{message}; no news of its progress since {to_rfc3339(silent)}: the numbers are old"
        )
    if job.spec.program.container:
        return TrainingState(phase, phase, message)  # a program of the user's own need not say how far it is
    return TrainingState(
        "Running",
        POD_UNREACHABLE,
        f"{message}; its progress cannot be read: http://{address(pods[0])}:{TRAINER_PORT}/progress does not answer. "
        f"If the trainer is well, let the operator's namespace reach port {TRAINER_PORT}: a NetworkPolicy or a mesh is "
        "in the way",
    )


def _answered(before: TrainingJobStatus, facts: TrainingFacts, pod: Manifest | None) -> bool:
    """Return whether the trainer that runs now has answered before."""
    if facts.heard.at is not None:
        return True
    last = before.progress.updated if before.progress else None
    since = running_since(pod)
    return last is not None and since is not None and from_rfc3339(last) >= since


def _silent_since(before: TrainingJobStatus, facts: TrainingFacts, pod: Manifest | None) -> datetime | None:
    """Return since when the trainer has not answered: since it last did, or started, or was first asked."""
    if facts.heard.at is not None:
        return facts.heard.at
    last = before.progress.updated if before.progress and _answered(before, facts, pod) else None
    since = from_rfc3339(last) if last else running_since(pod)
    return max(since, facts.heard.asked) if since and facts.heard.asked else since


def _running_phase(job: TrainingJob, before: TrainingJobStatus, live: Snapshot | None) -> Phase:
    if live is not None:
        return "Starting" if live.phase == "starting" else "Running" if live.phase == "training" else "Exporting"
    # No answer: the trainer of ours is importing TensorFlow, or too busy this time; a user's program may have none.
    if before.phase in ("Running", "Exporting"):
        return before.phase
    return "Running" if job.spec.program.container else "Starting"


def _cause(before: TrainingJobStatus, news: End | None) -> tuple[str, str]:
    """Return why the last attempt ended: from its Job where the end is new, else from what was recorded."""
    if news is not None:
        return news.reason, news.message
    return (before.failure.reason, before.failure.message) if before.failure else ("Error", "unknown")


def _failure(before: TrainingJobStatus, facts: TrainingFacts, state: TrainingState, lead: RoleName) -> Failure | None:
    """Return the failure card: of the last failed attempt, and of the whole once it has failed."""
    last, news = facts.ledger.last, facts.ledger.news
    if state.phase == "Succeeded":
        return None
    if state.phase == "Failed" or (news is not None and news.attempt.outcome == "Failed"):
        reason, message = (state.reason, state.message) if state.phase == "Failed" else _cause(before, news)
        code, index = (last.exit_code, last.index) if last else (None, None)
        # Many stops are an end of their own; which kind they were says the last.
        kind = last.reason if last and last.reason and reason == TOO_MANY_STOPS else reason
        return Failure(
            reason=reason,
            reason_class=classify(kind, message, code),
            message=message,
            attempt=last.n if last else 0,
            exit_code=code,
            node=last.node if last else None,
            role=lead if last else None,
            index=index,
            log_tail=list(facts.log_tail) or (before.failure.log_tail if before.failure and news is None else []),
        )
    return before.failure


def _progress(before: TrainingJobStatus, facts: TrainingFacts, state: TrainingState) -> Progress | None:
    news = facts.ledger.news
    if state.phase == "Succeeded" and news and news.report:
        return at_end(before.progress, news.report)
    if facts.live is not None:
        return fresh(before.progress, facts.live, facts.heard.at or facts.now)
    # What is not under way, or of which nothing is heard, has no time left.
    if before.progress is not None and (state.phase not in ("Running", "Exporting") or state.reason == PROGRESS_STALE):
        return before.progress.model_copy(update={"eta": None})
    return before.progress


def _checkpoint(before: TrainingJobStatus, facts: TrainingFacts) -> CheckpointStatus | None:
    news = facts.ledger.news
    if news and news.report and news.report.last_checkpoint:
        return news.report.last_checkpoint.to_status()
    return (facts.live.checkpoint() if facts.live else None) or before.last_checkpoint
