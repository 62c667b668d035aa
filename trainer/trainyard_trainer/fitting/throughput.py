"""How fast the training is, how long it will take, and how many steps to run for each call from Python."""

from collections import deque

CALL_SECONDS = 0.15
"""Aimed-at length of a call: short for reports and requests to stop, long beside the cost of a call."""
MAX_STEPS = 10_000
_WINDOW_SECONDS = 10.0
_FIRST_STEPS = 8
_ETA_AFTER_SECONDS = 30.0
_SURE = 100
"""Steps that show how long one takes."""


class Throughput:
    """Learns from each call, which shall take `call_seconds`. Times are seconds of any clock that does not jump."""

    def __init__(self, now: float, call_seconds: float = CALL_SECONDS) -> None:
        self._call_seconds = call_seconds
        self._began: float | None = None
        self._calls: deque[tuple[float, int, int]] = deque()
        self._steps = self._rows = 0
        self._last = now
        self.steps_per_call = 1

    def record(self, *, now: float, began: float, steps: int, rows: int) -> None:
        """Take note of a call that ran `steps` steps on `rows` rows from `began` to `now`."""
        if self._began is None:
            # The first call traced the graph: it says nothing about the next ones.
            self._began = now
            self.steps_per_call = _FIRST_STEPS
        else:
            fitting = int(self._call_seconds * steps / max(now - began, 1e-9))
            # One quick call must not lead to an endless one.
            self.steps_per_call = max(1, min(fitting, 8 * self.steps_per_call, MAX_STEPS))
            self._steps += steps
            self._rows += rows
        self._last = now
        self._calls.append((now, self._steps, self._rows))
        while now - self._calls[0][0] > _WINDOW_SECONDS and len(self._calls) > 2:
            self._calls.popleft()

    @property
    def samples_per_second(self) -> float | None:
        """Rows trained on each second, of the last seconds."""
        (then, _, before), (now, _, rows) = (self._calls[0], self._calls[-1]) if self._calls else ((0, 0, 0),) * 2
        return (rows - before) / (now - then) if now > then else None

    @property
    def seconds_per_step(self) -> float | None:
        """How long a step takes; nothing before some have shown it."""
        return (self._last - self._began) / self._steps if self._began is not None and self._steps >= _SURE else None

    def eta(self, steps_left: int, *, epochs_done: int) -> float | None:
        """Seconds for the steps that are left; nothing before an epoch or half a minute has shown how fast it is."""
        if self._began is None or not self._steps:
            return None
        elapsed = self._last - self._began
        if epochs_done < 1 and elapsed < _ETA_AFTER_SECONDS:
            return None
        return steps_left * elapsed / self._steps
