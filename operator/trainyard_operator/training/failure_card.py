"""The failure card: which kind of failure it was, and the last lines of the log. Pure functions.

A log is the user's, and whoever may read a TrainingJob need not be allowed to read it: it is kept short, without
control characters, and without what looks like a password.
"""

import re
from collections.abc import Sequence

from trainyard_api.failure import LINE_LENGTH, TAIL_LINES, FailureClass
from trainyard_api.names import EXIT_BAD_INPUT, EXIT_DIVERGED
from trainyard_operator.training.timeouts import DEADLINE_EXCEEDED, STALLED, STARTUP_TIMEOUT
from trainyard_operator.workloads.blockers import (
    IMAGE_PULL_FAILED,
    INVALID_NAME,
    INVALID_SPEC,
    PODS_NOT_CREATED,
    UNSCHEDULABLE,
    WAITING_FOR_VOLUMES,
)
from trainyard_operator.workloads.text import clean

OOM_KILLED, PREEMPTED, EVICTED, NODE_LOST = "OOMKilled", "Preempted", "Evicted", "NodeLost"
TOO_MANY_STOPS = "TooManyStops"
DISRUPTIONS = {
    "PreemptionByScheduler": PREEMPTED,
    "EvictionByEvictionAPI": EVICTED,
    "TerminationByKubelet": EVICTED,
    "DeletionByTaintManager": NODE_LOST,
    "DeletionByPodGC": NODE_LOST,
}
"""Reasons of a pod's condition DisruptionTarget, and what we call them.

See https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions.
"""
_TAIL_BYTES = 2048
_STOPS = ("Stopped", "JobDeleted", "ResultLost", TOO_MANY_STOPS, PREEMPTED, EVICTED)
_CLASSES: dict[str, FailureClass] = {
    NODE_LOST: "NodeLost",
    IMAGE_PULL_FAILED: "ImagePull",
    UNSCHEDULABLE: "Unschedulable",
    STALLED: "Stalled",
    DEADLINE_EXCEEDED: "DeadlineExceeded",
    INVALID_NAME: "InvalidSpec",
    INVALID_SPEC: "InvalidSpec",
    STARTUP_TIMEOUT: "NotStarted",
    PODS_NOT_CREATED: "NotStarted",
    WAITING_FOR_VOLUMES: "NotStarted",
    "CreateContainerConfigError": "NotStarted",
    "CreateContainerError": "NotStarted",
    "RunContainerError": "NotStarted",
}
_NO_MEMORY = re.compile(
    r"MemoryError|ResourceExhaustedError|OOM when allocating|out of memory|bad_alloc", re.IGNORECASE
)
_SECRETS = (
    # The key of a pair, and everything of its value.
    (
        re.compile(
            r"(?i)([\w-]*(?:password|passwd|secret|token|credential|api[_-]?key|access[_-]?key|authorization)"
            r"[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|(?:bearer|basic)\s+\S+|[^\s,;}]+)"
        ),
        r"\1***",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"://[^/\s@]+@"), "://***@"),
    (re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"), "***"),
)


def classify(reason: str, message: str, exit_code: int | None) -> FailureClass:
    """Return the kind of a failure.

    A program is out of memory also where it notices by itself, or a handler of its own ends it with another code.
    """
    if reason == OOM_KILLED:
        return "OutOfMemory"
    if exit_code == EXIT_BAD_INPUT:
        return "BadData"
    if exit_code == EXIT_DIVERGED:
        return "Diverged"
    if reason in _STOPS:
        return "Preempted"
    if reason in _CLASSES:
        return _CLASSES[reason]
    return "OutOfMemory" if _NO_MEMORY.search(message) else "ApplicationError"


def tail(log: str) -> list[str]:
    """Return the last lines that say something, as they may stand in a status: 20 lines and 2 kB at most."""
    kept: list[str] = []
    left = _TAIL_BYTES
    # Progress bars go back to the start of their line instead of beginning a new one.
    for line in reversed(re.split(r"[\r\n]+", log)):
        shown = clean(redact(line), LINE_LENGTH)
        if not shown:
            continue
        left -= len(shown.encode()) + 1
        if left < 0 or len(kept) == TAIL_LINES:
            break
        kept.append(shown)
    return kept[::-1]


def redact(text: str) -> str:
    """Return text without what looks like a password, a token or a key."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


def disruption(reasons: Sequence[str]) -> str:
    """Return what took a pod away, by the reasons of its conditions; `Stopped` where that is not known."""
    return next((DISRUPTIONS[reason] for reason in reasons if reason in DISRUPTIONS), "Stopped")
