"""How long to wait before trying the same key again."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from trainyard_operator.runtime.reconciler import Key


@dataclass(slots=True)
class Backoff:
    """Doubles the delay of a key with each failure in a row; jitter keeps many keys from failing in step.

    Attributes:
        base: Seconds after the first failure.
        cap: Most seconds.
        jitter: Source of numbers from 0 to 1; the delay is scaled by 0.5 to 1 of it.
    """

    base: float = 0.5
    cap: float = 300.0
    jitter: Callable[[], float] = random.random
    _failures: dict[Key, int] = field(default_factory=dict)

    def next(self, key: Key) -> float:
        """Count one more failure and return the seconds to wait."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        # The exponent is bounded too: 2.0 ** 1024 overflows.
        return float(min(self.cap, self.base * 2 ** min(failures - 1, 30)) * (0.5 + self.jitter() / 2))

    def forget(self, key: Key) -> None:
        """Start over: the key went through, or its object is gone."""
        self._failures.pop(key, None)

    def failing(self) -> set[Key]:
        """Return the keys whose last reconcile failed."""
        return set(self._failures)
