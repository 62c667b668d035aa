"""How a training can end badly. Each error knows its exit code, and says what was expected and what came."""

import re
from collections.abc import Iterable
from typing import ClassVar

from trainyard_api import names
from trainyard_api.suggestions import did_you_mean as did_you_mean


class TrainerError(Exception):
    """Ends the training. The text is for a person; `reason` and `exit_code` are for the operator."""

    reason: ClassVar[str] = "Failed"
    exit_code: ClassVar[int] = 1


class BadInput(TrainerError):
    """The spec, the data or a folder is wrong: the same input would fail again."""

    reason = "BadInput"
    exit_code = names.EXIT_BAD_INPUT


class Diverged(TrainerError):
    """The loss or a weight is not a finite number: the same settings would diverge again."""

    reason = "Diverged"
    exit_code = names.EXIT_DIVERGED


class Stopped(TrainerError):
    """Stopped on request after a checkpoint; the next run goes on from there."""

    reason = "Stopped"
    exit_code = names.EXIT_STOPPED


class PeerLost(TrainerError):
    """Another worker died, hangs or left: all start again from the last checkpoint."""

    reason = "PeerLost"
    exit_code = names.EXIT_PEER_LOST


class PeersMissing(TrainerError):
    """Not all workers came together in time: nothing was begun."""

    reason = "PeersMissing"
    exit_code = names.EXIT_PEER_LOST


class ExportFailed(TrainerError):
    """The model could not be written, or what was written does not answer like the trained model."""

    reason = "ExportFailed"


def one_line(error: BaseException | str, limit: int = 1500) -> str:
    """Return the text of an error on one line, cut to `limit` characters, with nothing in it that is not printable."""
    text = " ".join(_ESCAPE_CODES.sub("", str(error)).split())
    if not text.isprintable():
        text = "".join(each if each.isprintable() else _escaped(each) for each in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(character: str) -> str:
    """Return a character as Python writes it; a byte of a file name that is no UTF-8 as that byte."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]


_ESCAPE_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Colours and the like of terminals, which Keras puts into its messages."""


def listed(items: Iterable[str], limit: int = 20) -> str:
    """Return names joined by commas, the first `limit` of them and how many more there are."""
    every = list(items)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more
