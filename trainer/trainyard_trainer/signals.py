"""SIGTERM and Ctrl-C: save and leave while training, leave at once otherwise."""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopSignal:
    """Hears a request to stop.

    While training the request is only noted, and the loop saves a checkpoint and ends at its next report. At any other
    time there is nothing to save that is not saved yet, and `leave` ends the process then and there, which is as safe
    as being killed: everything on disk is written under a temporary name first.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self.requested = False
        self._leave = leave
        self._deferred = False

    def install(self) -> None:
        """Take over the signals. To be repeated after anything that takes them away, as TensorFlow's services do."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While inside, only note the request."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False

    def ask(self) -> None:
        """Request a stop, as a signal does."""
        self.requested = True
        if not self._deferred:
            self._leave()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.ask()


def end_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies; only Linux can (prctl(2))."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM, 0, 0, 0)
