"""Text that is safe to show: in a status, an event or a terminal."""

import re

MESSAGE_LIMIT = 1000
_HEAD = 3
"""A cut message keeps a third for its start, which says what it is about; an error says most at its end."""


def clean(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return text as one line without control characters or lone surrogates, its middle cut where it is too long."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if len(line) <= limit:
        return line
    head = limit // _HEAD
    return f"{line[:head]}…{line[head + 1 - limit :]}"


def last_line(text: str) -> str:
    """Return the last line that says something: of a Python trace, the exception."""
    return clean(next((line for line in reversed(text.splitlines()) if line.strip()), ""))


def reason_word(text: str, default: str) -> str:
    """Return a word that may stand as a reason in a condition."""
    return text if re.fullmatch(r"[A-Z][A-Za-z0-9]{0,63}", text) else default


def listed(kind: str, names: list[str]) -> str:
    """Return objects of a kind by name, for example `the Secret 'a' and the Secret 'b'`."""
    return " and ".join(f"the {kind} {name!r}" for name in names)
