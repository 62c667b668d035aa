"""Events about pods, written in order and in the background: nothing waits for them."""

import asyncio

from trainyard_devcluster.events import Recorder
from trainyard_devcluster.resources import Object

LONGEST_QUEUE = 1000


class EventSink:
    """Takes events at once and writes them one after another while `run` runs."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._queue: asyncio.Queue[tuple[str, Object, str, str]] = asyncio.Queue(LONGEST_QUEUE)

    def normal(self, about: Object, reason: str, message: str) -> None:
        """Something happened as intended."""
        self._put("Normal", about, reason, message)

    def warning(self, about: Object, reason: str, message: str) -> None:
        """Something happened that a person may have to act on."""
        self._put("Warning", about, reason, message)

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            await self._recorder.record(*await self._queue.get())

    def _put(self, kind: str, about: Object, reason: str, message: str) -> None:
        if not self._queue.full():  # no work depends on an event, and a flood of them helps nobody
            self._queue.put_nowait((kind, about, reason, message))
