"""Time for a training, which never goes back, whatever is done to the machine's clock."""

import time
from collections.abc import Callable


class Clock:
    """Tells how much time has passed, and what time it is by the machine's clock as it was at the start."""

    def __init__(self, steady: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._steady = steady
        self._offset = wall() - steady()

    def now(self) -> float:
        """Return the seconds since some moment."""
        return self._steady()

    def unix(self) -> float:
        """Return the Unix time, without what the machine's clock has been set by since the start."""
        return self._steady() + self._offset
