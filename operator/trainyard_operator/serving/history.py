"""What became of a service's revisions, and which of them are kept for the way back."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from trainyard_api.modelservice import HistoryEntry, ModelServiceStatus, RevisionStatus
from trainyard_api.names import PARKED_ANNOTATION
from trainyard_api.times import to_rfc3339
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.checks import CHECK_FAILED
from trainyard_operator.serving.conditions import READY
from trainyard_operator.serving.gate import Gated, Refusal
from trainyard_operator.serving.rollout import Plan
from trainyard_operator.serving.signatures import SIGNATURE_CHANGED
from trainyard_operator.workloads.text import clean

MOST_ENTRIES = 20
_FAILURES = (CHECK_FAILED, SIGNATURE_CHANGED)
"""What is wrong with a model, and not with the cluster."""
_MOST_REFUSED = 5
"""Refused versions that are noted at a time: they must not push out what served."""


def record(
    before: ModelServiceStatus,
    after: ModelServiceStatus,
    gated: Gated | None,
    *,
    promoted: datetime | None,
    now: datetime,
) -> list[HistoryEntry]:
    """Return the history after a change of status, the newest entry first.

    Args:
        before: The status with the history so far.
        after: The status that follows.
        gated: What came of the gate.
        promoted: When the revision in `after` got the traffic.
        now: The time.
    """
    entries, time = list(before.history), to_rfc3339(now)
    for refusal in reversed(gated.refused[:_MOST_REFUSED] if gated else ()):
        _refuse(entries, refusal, time)
    given_up = before.next
    if given_up and given_up.revision not in {found.revision for found in (after.current, after.next) if found}:
        entries.insert(0, _given_up(given_up, before, after, time))
    current = after.current
    serving = next((entry for entry in entries if entry.outcome == "Promoted"), None)
    if current and (serving is None or serving.revision != current.revision):
        entries = [_superseded(entry, time) for entry in entries]
        since = to_rfc3339(promoted) if promoted else time
        entries.insert(0, _of(current, "Promoted", since, promoted=since))
    return entries[:MOST_ENTRIES]


def kept(entries: Sequence[HistoryEntry], count: int, live: Mapping[str, Manifest]) -> frozenset[str]:
    """Return the revisions to keep: so many of those that had the traffic, without the one that has it.

    Those that were kept before follow the ones that the history knows: a status can be lost.

    Args:
        live: The Deployments, by revision.
    """
    serving = {entry.revision for entry in entries if entry.outcome == "Promoted"}
    former = dict.fromkeys(entry.revision for entry in entries if entry.promoted and entry.revision not in serving)
    since = {revision: _parked(deployment) for revision, deployment in live.items() if _parked(deployment)}
    before = sorted(since.keys() - serving - former.keys(), key=lambda revision: since[revision], reverse=True)
    found = [revision for revision in (*former, *before) if revision is not None and revision in live]
    return frozenset(found[:count])


def _parked(deployment: Manifest) -> str:
    """Return since when a Deployment is kept without pods; empty where it is not."""
    return str((deployment["metadata"].get("annotations") or {}).get(PARKED_ANNOTATION, ""))


def park(plan: Plan, keep: Collection[str], deployments: Mapping[str, Manifest]) -> Plan:
    """Return the plan with the revisions that are kept stopped instead of removed."""
    stopped = [revision for revision in plan.remove if revision in keep and _has_pods(deployments.get(revision))]
    return replace(
        plan, remove=tuple(revision for revision in plan.remove if revision not in keep), park=tuple(stopped)
    )


def _has_pods(deployment: Manifest | None) -> bool:
    return deployment is not None and deployment["spec"].get("replicas", 1) != 0


def _refuse(entries: list[HistoryEntry], refusal: Refusal, time: str) -> None:
    """Note a refusal, unless it is the last that was said of this version."""
    model, why = refusal.model, clean(refusal.why)
    known = next((entry for entry in _refused(entries) if (entry.uri, entry.digest) == (model.uri, model.digest)), None)
    if known and known.message == why:
        return
    if known:
        entries.remove(known)
    entry = HistoryEntry(
        model=model.model,
        model_version=model.version,
        uri=model.uri,
        digest=model.digest,
        training_job=model.training_job,
        outcome="Refused",
        message=why,
        time=time,
    )
    entries.insert(0, entry)


def _refused(entries: Sequence[HistoryEntry]) -> Iterator[HistoryEntry]:
    return (entry for entry in entries if entry.outcome == "Refused")


def _given_up(
    revision: RevisionStatus, before: ModelServiceStatus, after: ModelServiceStatus, time: str
) -> HistoryEntry:
    """Return what became of a revision that never took the traffic."""
    if after.rolled_back and after.rolled_back.revision == revision.revision:
        return _of(revision, "RolledBack", time, after.rolled_back.message)
    for condition in before.conditions:
        if condition.type == READY and condition.status == "False" and condition.reason in _FAILURES:
            return _of(revision, "RolledBack", time, clean(condition.message, 300))
    return _of(revision, "Superseded", time, "before it took the traffic")


def _superseded(entry: HistoryEntry, time: str) -> HistoryEntry:
    return entry.model_copy(update={"outcome": "Superseded", "time": time}) if entry.outcome == "Promoted" else entry


def _of(
    revision: RevisionStatus, outcome: str, time: str, message: str = "", *, promoted: str | None = None
) -> HistoryEntry:
    return HistoryEntry.model_validate(
        revision.model_dump(exclude={"ready", "metrics"})
        | {"outcome": outcome, "message": message, "time": time, "promoted": promoted}
    )
