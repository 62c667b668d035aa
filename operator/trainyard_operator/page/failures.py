"""How often somebody may fail to sign in: each try costs the API server a review."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_FAILURES = 10
"""Of one address within `_SECONDS`."""
_SECONDS = 60.0
_MOST_ADDRESSES = 2000


@dataclass(slots=True)
class Failures:
    """The last failures of each address, for a minute."""

    clock: Callable[[], float]
    _times: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def add(self, address: str) -> None:
        """Note that somebody at an address has failed."""
        times = self._times.pop(address, deque(maxlen=MOST_FAILURES))
        times.append(self.clock())
        self._times[address] = times
        if len(self._times) > _MOST_ADDRESSES:
            self._times.popitem(last=False)

    def wait(self, address: str) -> float:
        """Return in how many seconds an address may try again; 0 where it may now."""
        times = self._times.get(address)
        if times is None or len(times) < MOST_FAILURES:
            return 0
        return max(0.0, times[0] + _SECONDS - self.clock())
