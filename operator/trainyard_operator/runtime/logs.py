"""Logging: one line per record, as text for people or as JSON for machines."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Literal

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "settings", "k8s_skip"}

_LIMIT = 4000


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with whatever was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class OneLine(logging.Filter):
    """Keeps what others have said, an API server or a program, from forging lines or filling the disk."""

    def __init__(self, clean: Callable[[str, int], str]) -> None:
        super().__init__()
        self._clean = clean

    def filter(self, record: logging.LogRecord) -> bool:
        """Make the message one line without control characters."""
        record.msg, record.args = self._clean(record.getMessage(), _LIMIT), ()
        return True


def configure(level: str, form: Literal["text", "json"], clean: Callable[[str, int], str]) -> None:
    """Send all logs to standard error, kopf's only from warnings up: it logs a line for every event of every object.

    What its inner parts have to say of watches that fail, our watches say once instead of nine times.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter() if form == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    handler.addFilter(OneLine(clean))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    for inner in ("kopf._cogs", "kopf._core"):
        logging.getLogger(inner).setLevel(logging.CRITICAL)
