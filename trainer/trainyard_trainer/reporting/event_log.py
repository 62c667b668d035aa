"""The training's log: one JSON object a line on stdout, for `kubectl logs` and for log collectors."""

import json
from datetime import UTC, datetime
from typing import TextIO

from trainyard_trainer.reporting.progress_server import finite


def rfc3339(moment: datetime | None = None) -> str:
    """Return a moment, by default now, as Kubernetes writes it."""
    return (moment or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


class EventLog:
    """Writes what happened, for a person first (`message`) and for programs beside it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, event: str, message: str, **fields: object) -> None:
        """Write one line. `event` is a constant word; numbers JSON cannot hold become null."""
        line = {"time": rfc3339(), "event": event, "message": message} | {
            name: finite(value) if isinstance(value, float) else value for name, value in fields.items()
        }
        print(json.dumps(line, default=str, ensure_ascii=False), file=self._stream, flush=True)
