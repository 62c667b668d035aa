"""What the work queue holds and what a reconcile returns."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Key(NamedTuple):
    """One object to reconcile; a plain tuple, so that a thousand of them cost little."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A reconcile went through; look again after `requeue_after` seconds, or when something happens (None)."""

    requeue_after: float | None = None

    def within(self, seconds: float) -> "Outcome":
        """Return the same, but look again after so many seconds at the latest."""
        return Outcome(seconds if self.requeue_after is None else min(seconds, self.requeue_after))


DONE = Outcome()


class Reconciler(Protocol):
    """Makes the cluster match one object, whatever woke it. Must be idempotent."""

    async def reconcile(self, key: Key) -> Outcome:
        """Observe, build, apply, report.

        What is wrong with the object itself ends in its status and a normal return. Raising means "try again":
        `cluster.errors.ApiError` is expected and retried with a growing delay, anything else is a bug, is logged
        with its trace and retried likewise.
        """
        ...
