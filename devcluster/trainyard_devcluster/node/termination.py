"""What a container says when it ends."""

from datetime import datetime
from pathlib import Path

from trainyard_devcluster.node import logs
from trainyard_devcluster.node.status import Terminated
from trainyard_devcluster.resources import Object

LONGEST_MESSAGE = 4096
LOG_LINES, LOG_BYTES = 80, 2048


def terminated(
    container: Object, code: int, *, message_file: Path, log: Path, container_id: str, started: datetime, now: datetime
) -> Terminated:
    """The final state of a run. Whether memory ran out cannot be told from outside a cgroup: that is an Error too."""
    message = _message(message_file)
    if not message and code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        message = logs.last_text(log, lines=LOG_LINES, size=LOG_BYTES)
    return Terminated(code, "Error" if code else "Completed", message, started, now, container_id)


def _message(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError:
        return ""
    return content[-LONGEST_MESSAGE:].decode(errors="replace")
