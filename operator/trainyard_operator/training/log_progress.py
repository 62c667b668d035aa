"""Progress that a program of the user's own prints: `trainyard: {"epoch": 3, ...}`, a line of its log.

For what is no Python, or has no port to spare. The log is the user's: nothing of it but these numbers goes anywhere.
"""

import re

from trainyard_operator.training import progress
from trainyard_operator.training.progress import Phase, Snapshot

PREFIX = "trainyard:"


class Line(Snapshot):
    """What a line says; it need not say anything, unlike /progress, which might be somebody else's page."""

    phase: Phase = "training"


def last(log: str) -> Snapshot | None:
    """Return what the last line that says something says; it may be cut off, or still being written."""
    # Progress bars go back to the start of their line instead of beginning a new one.
    lines = (line.strip() for line in reversed(re.split(r"[\r\n]+", log)))
    said = (parse(line.removeprefix(PREFIX)) for line in lines if line.startswith(PREFIX))
    return next((snapshot for snapshot in said if snapshot is not None), None)


def parse(text: str) -> Snapshot | None:
    """Return what a JSON object says without the fields that make no sense, or None where nothing is left."""
    line = progress.parse(text, Line)
    return line if line is not None and line.model_fields_set else None
