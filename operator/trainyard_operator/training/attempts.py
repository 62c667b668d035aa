"""Attempts: what became of each, and what comes next. Pure functions, and the only place where failures are counted.

An attempt is a Job. Its end is written to the status before the next one begins, so each end is counted exactly once,
whenever the operator dies and whatever is deleted behind its back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from trainyard_api.names import EXIT_BAD_INPUT, EXIT_DIVERGED, EXIT_PEER_LOST, EXIT_STOPPED
from trainyard_api.run_policy import RunPolicy
from trainyard_api.times import from_rfc3339, to_rfc3339
from trainyard_api.trainingjob import Attempt
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.attempt_pods import (
    Workers,
    decider,
    ended_with,
    is_disrupted,
    is_out_of_memory,
    node_of,
    queued,
    started,
    terminated,
    trainers_ended,
)
from trainyard_operator.training.failure_card import OOM_KILLED, disruption
from trainyard_operator.training.observed import ObservedTraining
from trainyard_operator.training.termination_message import (
    Report,
    Unreadable,
    read,
)
from trainyard_operator.training.timeouts import Timer
from trainyard_operator.workloads.pods import condition
from trainyard_operator.workloads.text import clean, reason_word

_KEPT_STOPS = 102
"""Stops that stay in the record: one more than the limit on them can be."""
_MESSAGE_BYTES = 4096
"""Kubernetes cuts a longer termination message."""
_FIRST_DELAY = 5
_LONGEST_DELAY = 300
_DETAILS = {
    OOM_KILLED: "the trainer needed more memory than spec.roles.worker.resources.limits.memory allows",
    "DeadlineExceeded": "the attempt took longer than spec.runPolicy.attemptDeadline",
}


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended, with what only its Job and pod can tell.

    Attributes:
        final: No further attempt can help: the input is bad, the training diverged, or its time is up.
        report: The trainer's last word, where it left one that can be read.
    """

    attempt: Attempt
    reason: str
    message: str
    final: bool = False
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """All attempts so far.

    Attributes:
        attempts: In the order of their numbers.
        news: The end of the last attempt, where the status does not tell of it yet.
    """

    attempts: tuple[Attempt, ...]
    news: End | None

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def restarts(self) -> int:
        """Failed attempts that were followed by another."""
        return sum(attempt.outcome == "Failed" for attempt in self.attempts[:-1])

    @property
    def disruptions(self) -> int:
        """Stops from outside in a row; one that left a checkpoint further than any before begins the count anew."""
        return disruptions(self.attempts)


@dataclass(frozen=True, slots=True)
class Next:
    """The next step: start attempt `n`, wait to start it until `at` or longer, go on with it, or end."""

    step: Literal["start", "wait", "continue", "succeed", "fail"]
    n: int = 0
    at: datetime | None = None


def tally(
    recorded: Sequence[Attempt],
    observed: ObservedTraining,
    *,
    now: datetime,
    checkpoint: int | None = None,
    expired: Timer | None = None,
) -> Ledger:
    """Bring the recorded attempts up to date with the Jobs. What is recorded as ended stays as it is.

    Args:
        checkpoint: Steps of the newest checkpoint that is known.
        expired: The timer that ends what still runs.
    """
    attempts = {attempt.n: attempt for attempt in recorded}
    news: End | None = None
    for n in sorted(attempts.keys() | observed.jobs.keys()):
        known = attempts.get(n)
        if known is not None and known.outcome != "Running":
            continue
        seen = _look(n, known, observed, now)
        if expired is not None and isinstance(seen, Attempt):
            ended = seen.model_copy(update={"outcome": "Failed", "ended": to_rfc3339(now)})
            seen = End(ended, expired.reason, expired.message, final=expired.final)
        if isinstance(seen, End):
            seen = _recorded(seen, checkpoint)
        attempts[n], news = (seen.attempt, seen) if isinstance(seen, End) else (seen, news)
    ordered = _kept([attempts[n] for n in sorted(attempts)])
    is_last = news is not None and news.attempt.n == ordered[-1].n
    return Ledger(ordered, news if is_last else None)


def lingering(recorded: Sequence[Attempt], observed: ObservedTraining) -> list[Manifest]:
    """Return the Jobs of attempts whose end is recorded, and which go on for the sake of other containers."""
    ended = {attempt.n for attempt in recorded if attempt.outcome != "Running"}
    others = [job for n, roles in observed.followers.items() if n in ended for job in roles.values()]
    # Parameter servers never end by themselves: they, and workers that wait for them, go with the chief.
    return [job for job in (*(observed.jobs[n] for n in observed.jobs if n in ended), *others) if not ended_with(job)]


def _recorded(end: End, known: int | None) -> End:
    """Return the end with all that is to be recorded of it."""
    reported = end.report.last_checkpoint.step if end.report and end.report.last_checkpoint else None
    newest = max((step for step in (known, reported) if step is not None), default=None)
    return replace(end, attempt=end.attempt.model_copy(update={"checkpoint": newest, "reason": end.reason}))


def _kept(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Return the attempts that stay in the record: all but stops of long ago, which no count needs any more."""
    stops = [attempt.n for attempt in attempts if attempt.outcome == "Stopped"]
    old = set(stops[:-_KEPT_STOPS])
    return tuple(attempt for attempt in attempts if attempt.n not in old)


def disruptions(attempts: Sequence[Attempt]) -> int:
    """Return how many stops came in a row without a checkpoint that got further."""
    furthest, count = -1, 0
    for attempt in attempts:
        step = -1 if attempt.checkpoint is None else attempt.checkpoint
        if attempt.outcome == "Stopped":
            count = 0 if step > furthest else count + 1
        furthest = max(furthest, step)
    return count


def plan(
    ledger: Ledger, policy: RunPolicy, *, leaving: bool, now: datetime, expired: Timer | None = None, first: int = 0
) -> Next:
    """Decide what comes next.

    Args:
        first: Number of the first attempt.
        leaving: A pod of an attempt that is over still runs.
        expired: The timer that is over; one of the whole training leaves no time for another attempt.
    """
    last, news = ledger.last, ledger.news
    if last is None:
        return Next("wait" if leaving or policy.suspend else "start", first)
    if last.outcome == "Running":
        return Next("continue", last.n)
    if last.outcome == "Succeeded":
        return Next("succeed", last.n)
    failed = sum(attempt.outcome == "Failed" for attempt in ledger.attempts)
    too_many_stops = 0 <= policy.max_disruptions < ledger.disruptions
    time_is_up = expired is not None and expired.final
    if time_is_up or (news is not None and news.final) or failed > policy.max_restarts or too_many_stops:
        return Next("fail", last.n)
    at = from_rfc3339(last.ended) + delay(ledger.attempts) if last.ended else None
    due = at is None or at <= now
    # An end is recorded before anything new begins: whoever dies in between would lose its count.
    ready = news is None and due and not leaving and not policy.suspend
    return Next("start" if ready else "wait", last.n + 1, at)


def must_be_certain(ledger: Ledger, step: Next) -> bool:
    """Return whether a step cannot be taken back: an end is recorded, or an attempt starts in place of another.

    Then what is there has to be read from the API server. A cached Job may have ended while its cached pod still runs,
    and what no list has need not be gone.
    """
    return ledger.news is not None or (step.step == "start" and step.n > 0)


def delay(attempts: Sequence[Attempt]) -> timedelta:
    """Return how long to wait before the next attempt: 5 s after the first failure, then twice as long each time.

    After a stop from outside 1 s, and twice as long with each that brought no progress.
    """
    failed = sum(attempt.outcome == "Failed" for attempt in attempts)
    if attempts[-1].outcome == "Stopped":
        return timedelta(seconds=min(_LONGEST_DELAY, 2 ** min(max(0, disruptions(attempts) - 1), 10)))
    return timedelta(seconds=min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(failed - 1, 10)))


def _look(n: int, known: Attempt | None, observed: ObservedTraining, now: datetime) -> Attempt | End:
    job, pods = observed.jobs.get(n), observed.pods.get(n, {})
    if job is None:
        gone = (known or Attempt(n=n, outcome="Running")).model_copy(
            update={"outcome": "Stopped", "ended": to_rfc3339(now)}
        )
        return End(gone, "JobDeleted", "the Job of the attempt was deleted")
    attempt = Attempt(
        n=n,
        outcome="Running",
        queued=queued(job) or (known.queued if known else None),
        started=started(pods) or (known.started if known else None),
        node=node_of(pods.get(0)) or (known.node if known else None),
    )
    condition = ended_with(job) or trainers_ended(job, pods, now=now)
    if condition is None:
        return attempt
    ended = attempt.model_copy(update={"ended": _not_after(now, condition.get("lastTransitionTime"))})
    if condition["type"] == "Complete":
        return _succeeded(ended, pods.get(0))
    return _failed(ended, condition, pods, job["spec"].get("completions", 1))


def _not_after(now: datetime, time: str | None) -> str:
    """Return a time of another clock, which may be ahead: the pause before the next attempt is counted from it."""
    return to_rfc3339(min(now, from_rfc3339(time)) if time else now)


def _succeeded(attempt: Attempt, pod: Manifest | None) -> End:
    word = _last_word(pod)
    if pod is None:
        # Only the pod knows the version. The trainer finds its finished work in the store and says it again.
        lost = attempt.model_copy(update={"outcome": "Stopped"})
        return End(lost, "ResultLost", "the pod was deleted before its result could be read")
    if isinstance(word, Unreadable) and is_out_of_memory(pod):
        failed = attempt.model_copy(update={"outcome": "Failed", "exit_code": 0})
        return End(failed, OOM_KILLED, f"exit code 0 and no result: {_DETAILS[OOM_KILLED]}")
    if isinstance(word, Unreadable):
        failed = attempt.model_copy(update={"outcome": "Failed", "exit_code": 0})
        if _is_cut(pod):
            return End(
                failed,
                "ResultCut",
                f"the program ended well, but Kubernetes keeps {_MESSAGE_BYTES} bytes of a result and cut this one: "
                "leave metrics out of it. The next attempt looks for the version that this one wrote",
            )
        says = f"; it says: {word.text}" if word.text else ""
        return End(
            failed,
            "InvalidResult",
            f"the program ended well but left no result as JSON in its termination message{says}",
            final=True,
        )
    done = attempt.model_copy(update={"outcome": "Succeeded", "exit_code": 0})
    left_out = f"; left out of its result, because nothing can be made of it: {', '.join(word.left_out)}"
    return End(done, word.reason, word.message + (left_out if word.left_out else ""), report=word)


def _is_cut(pod: Manifest | None) -> bool:
    # The kubelet keeps the end of a file that is too long.
    message = str(terminated(pod).get("message") or "")
    is_json = message.lstrip().startswith("{") or message.rstrip().endswith("}")
    return is_json and len(message.encode(errors="replace")) >= _MESSAGE_BYTES


def _failed(attempt: Attempt, condition: Manifest, pods: Workers, count: int) -> End:
    chief = _last_word(pods.get(0))
    report = chief if isinstance(chief, Report) else None
    if condition.get("reason") == "DeadlineExceeded":
        failed = attempt.model_copy(update={"outcome": "Failed", "exit_code": terminated(pods.get(0)).get("exitCode")})
        return End(failed, "DeadlineExceeded", _DETAILS["DeadlineExceeded"], report=report)
    index = decider(pods)
    pod = None if index is None else pods[index]
    attempt = attempt.model_copy(
        update={
            "exit_code": terminated(pod).get("exitCode"),
            "node": node_of(pod) or attempt.node,
            "index": index if count > 1 else None,
        }
    )
    reason, message, final = _cause(pod)
    if not final and _is_stop(condition, pod):
        said = message if terminated(pod).get("exitCode") == EXIT_STOPPED else ""
        stopped = attempt.model_copy(update={"outcome": "Stopped"})
        by, how = _disruption(pod)
        return End(stopped, by, said or f"the trainer was stopped from outside{how}", report=report)
    failed = attempt.model_copy(update={"outcome": "Failed"})
    whose = f"worker {index}: " if count > 1 else ""
    return End(failed, reason, whose + message, final=final, report=report)


def _cause(pod: Manifest | None) -> tuple[str, str, bool]:
    """Return reason and message of how a pod ended, and whether another attempt would end alike."""
    ended, word = terminated(pod), _last_word(pod)
    code = ended.get("exitCode")
    if is_out_of_memory(pod):
        return OOM_KILLED, _DETAILS[OOM_KILLED], False
    says = word.reason if isinstance(word, Report) else ""
    said = clean(word.message) if isinstance(word, Report) else word.text
    if code in (EXIT_BAD_INPUT, EXIT_DIVERGED):
        default = "BadInput" if code == EXIT_BAD_INPUT else "Diverged"
        return reason_word(says, default), said or f"the trainer ended with exit code {code}", True
    if code == EXIT_STOPPED:
        return "Stopped", said, False
    default = "PeerLost" if code == EXIT_PEER_LOST else "Error"
    return reason_word(says, default), f"exit code {code}: {said or 'no message'}", False


def _is_stop(condition: Manifest, pod: Manifest | None) -> bool:
    """Return whether the attempt was stopped from outside rather than failed by itself.

    A failed pod stays until its Job is deleted: where none is left that failed by itself, somebody removed it. Of a
    disrupted pod that is gone already only the Job can tell, and only where the whole attempt failed for it.
    """
    if pod is None or is_disrupted(pod):
        return True
    if terminated(pod).get("exitCode") == EXIT_STOPPED:
        return not is_out_of_memory(pod)
    return " has condition DisruptionTarget " in condition.get("message", "")


def _disruption(pod: Manifest | None) -> tuple[str, str]:
    """Return what took the pod away, as a reason and in words."""
    told = condition(pod, "DisruptionTarget") if pod is not None else {}
    how = f" ({clean(said, 300)})" if (said := str(told.get("message") or "")) else ""
    return disruption([str(told.get("reason"))]), how


def _last_word(pod: Manifest | None) -> Report | Unreadable:
    return read(terminated(pod).get("message") or "")
