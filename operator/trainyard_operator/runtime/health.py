"""Whether the operator really works, not only whether its port answers."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from trainyard_operator.runtime.metrics import Metrics

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


@dataclass(slots=True)
class Health:
    """Checks for the two probes: `live` failing means restart me, `ready` failing means I am not at work yet.

    Attributes:
        notes: What a person should know although the operator is at work.
    """

    live: list[Check] = field(default_factory=list)
    ready: list[Check] = field(default_factory=list)
    notes: Callable[[], list[str]] = list

    def problems(self, *, readiness: bool) -> list[str]:
        """Return what is wrong; nothing means well."""
        return _failing([*self.live, *self.ready] if readiness else self.live)


def _failing(checks: Iterable[Check]) -> list[str]:
    return [problem for check in checks if (problem := check())]


@dataclass(slots=True)
class LoopLag:
    """Measures how long the event loop is blocked, by sleeping and looking at the clock."""

    metrics: Metrics
    limit: float = 5.0
    interval: float = 1.0
    _due: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            self._due = time.monotonic() + self.interval
            await asyncio.sleep(self.interval)
            self.metrics.loop_lag.set(max(0.0, time.monotonic() - self._due))

    def check(self) -> str | None:
        """Return what is wrong: the loop is behind by more than the limit."""
        late = time.monotonic() - self._due
        return f"the event loop is {late:.1f} s late" if late > self.limit else None
