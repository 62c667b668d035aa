"""What a person tells a rollout to do, by an annotation of the ModelService.

The annotation stays as it was written: the operator writes nothing on resources of others. Instead the Service records
the last command that was obeyed, in the same write as its effect. So a command acts once, whoever dies in between, and
the same word acts again once it is written with something else behind a colon.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trainyard_api.names import COMMAND_ANNOTATION
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.text import clean

_LONGEST = 128
_ORDER = re.compile(r"(pause|promote) ([-a-z0-9]{1,63})")


class Command(StrEnum):
    """A word of the annotation."""

    PROMOTE = "promote"
    """Give the new revision all requests, without further steps."""
    ABORT = "abort"
    """Send the new revision back."""
    PAUSE = "pause"
    """Take no further step."""
    RESUME = "resume"
    """Go on after a pause."""
    RETRY = "retry"
    """Try the revision again that was sent back."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command that goes on to hold: `pause` or `promote`, for one revision."""

    command: Command
    revision: str

    def __str__(self) -> str:
        return f"{self.command.value} {self.revision}"


def order_in(text: str | None) -> Order | None:
    """Return the order that the annotation of a Service tells of."""
    match = _ORDER.fullmatch(text or "")
    return Order(Command(match[1]), match[2]) if match else None


def text_of(annotations: Mapping[str, str]) -> str:
    """Return the command on a ModelService, as it is written; empty where there is none."""
    return clean(annotations.get(COMMAND_ANNOTATION, ""), _LONGEST)


def command_in(text: str) -> Command | None:
    """Return the word of a command: what is behind a colon only tells it from the one before."""
    word = text.partition(":")[0].strip()
    return Command(word) if word in list(Command) else None


def unknown(text: str) -> Blocker | None:
    """Return that a command is none."""
    if not text or command_in(text):
        return None
    return Blocker(
        "UnknownCommand",
        f"annotation {COMMAND_ANNOTATION} expects promote, abort, pause, resume or retry, got {text!r}; write one of "
        "them, or remove the annotation",
        transient=True,
    )
