"""An exact, iterative JSON parser with RapidJSON's rules, error texts and offsets; the slow one of two."""

import math
import re
from typing import Final

from .errors import ServingError, invalid_argument

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_FRACTION: Final = re.compile(rb"\.[0-9]+")
_EXPONENT: Final = re.compile(rb"[eE][+-]?[0-9]+")
_CHUNK: Final = re.compile(rb'[^"\\\x00-\x1f]*')
_SPACE: Final = re.compile(rb"[ \t\n\r]*")
_BOM: Final = b"\xef\xbb\xbf"
_LITERALS: Final[dict[int, tuple[bytes, Json]]] = {
    ord("t"): (b"true", True),
    ord("f"): (b"false", False),
    ord("n"): (b"null", None),
}
_ESCAPES: Final = dict(zip(b'"\\/bfnrt', (b'"', b"\\", b"/", b"\b", b"\f", b"\n", b"\r", b"\t"), strict=True))


class Parser:
    """Reads one document. Every refusal is a ServingError (INVALID_ARGUMENT)."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 3 if body.startswith(_BOM) else 0

    def document(self) -> Json:
        """Read the whole body."""
        self._space()
        if not self._peek():
            raise _error("The document is empty.", self._at)
        value = self._value()
        self._space()
        if self._peek():
            raise _error("The document root must not be followed by other values.", self._at)
        return value

    def _peek(self) -> int:
        """The next byte; 0 at the end, and a zero byte ends the document too."""
        return self._body[self._at] if self._at < len(self._body) else 0

    def _take(self, char: str) -> bool:
        if self._peek() == ord(char):
            self._at += 1
            return True
        return False

    def _space(self) -> None:
        found = _SPACE.match(self._body, self._at)
        assert found
        self._at = found.end()

    def _value(self) -> Json:
        # Open lists and objects, each with the name its next value gets.
        open_: list[tuple[dict[str, Json] | list[Json], str]] = []
        while True:
            value, container = self._begin()
            if container is not None:
                name = self._name() if isinstance(container, dict) else ""
                open_.append((container, name))
                continue
            while open_:
                parent, name = open_.pop()
                if isinstance(parent, dict):
                    parent[name] = value
                else:
                    parent.append(value)
                self._space()
                if self._take(","):
                    self._space()
                    open_.append((parent, self._name() if isinstance(parent, dict) else ""))
                    break
                if not self._take("}" if isinstance(parent, dict) else "]"):
                    raise _error(
                        "Missing a comma or } after an object member."
                        if isinstance(parent, dict)
                        else "Missing a comma or ] after an array element.",
                        self._at,
                    )
                value = parent
            else:
                return value

    def _begin(self) -> tuple[Json, dict[str, Json] | list[Json] | None]:
        """A value that is whole, or a list or object that has at least one element."""
        first = self._peek()
        if first == ord("{"):
            self._at += 1
            self._space()
            return ({}, None) if self._take("}") else (None, {})
        if first == ord("["):
            self._at += 1
            self._space()
            return ([], None) if self._take("]") else (None, [])
        if first == ord('"'):
            return self._string(), None
        if first in _LITERALS:
            text, value = _LITERALS[first]
            self._word(text)
            return value, None
        return self._number(), None

    def _name(self) -> str:
        if self._peek() != ord('"'):
            raise _error("Missing a name for object member.", self._at)
        name = self._string()
        self._space()
        if not self._take(":"):
            raise _error("Missing a colon after a name of object member.", self._at)
        self._space()
        return name

    def _word(self, text: bytes) -> None:
        for byte in text:
            if self._peek() != byte:
                raise _error("Invalid value.", self._at)
            self._at += 1

    def _number(self) -> int | float:
        start = self._at
        found = _NUMBER.match(self._body, start)
        if found is None:
            return self._not_a_number(start)
        self._at = found.end()
        is_float = False
        for pattern, lead, message in (
            (_FRACTION, b".", "Miss fraction part in number."),
            (_EXPONENT, b"eE", "Miss exponent in number."),
        ):
            if self._at < len(self._body) and self._body[self._at] in lead:
                part = pattern.match(self._body, self._at)
                if part is None:
                    self._at += 1
                    if lead != b"." and (self._peek() in b"+-" and self._peek()):
                        self._at += 1
                    raise _error(message, self._at)
                self._at, is_float = part.end(), True
        text = self._body[start : self._at]
        # An int() of that many digits would be refused, and is a double anyway.
        if not is_float and len(text) < 22:
            return int(text)
        number = float(text)
        if math.isinf(number):
            raise _error("Number too big to be stored in double.", start)
        return number

    def _not_a_number(self, start: int) -> float:
        """NaN, Inf and Infinity with or without a minus."""
        negative = self._take("-")
        if self._peek() == ord("N"):
            self._word(b"NaN")
            return math.nan
        if self._peek() == ord("I"):
            self._word(b"Inf")
            if self._peek() == ord("i"):
                self._word(b"inity")
            return -math.inf if negative else math.inf
        raise _error("Invalid value.", self._at)

    def _string(self) -> str:
        self._at += 1
        parts: list[bytes] = []
        while True:
            found = _CHUNK.match(self._body, self._at)
            assert found
            parts.append(found.group())
            self._at = found.end()
            byte = self._peek()
            if byte == ord('"'):
                self._at += 1
                return b"".join(parts).decode("utf-8", "surrogateescape")
            if byte == ord("\\"):
                parts.append(self._escape())
            elif byte:
                raise _error("Invalid encoding in string.", self._at)
            else:
                raise _error("Missing a closing quotation mark in string.", self._at)

    def _escape(self) -> bytes:
        start = self._at
        self._at += 1
        letter = self._peek()
        self._at += 1
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        if letter != ord("u"):
            raise _error("Invalid escape character in string.", start)
        code = self._hex(start)
        if 0xD800 <= code <= 0xDFFF:
            low = 0
            if code <= 0xDBFF and self._body[self._at : self._at + 2] == b"\\u":
                self._at += 2
                low = self._hex(start)
            if not 0xDC00 <= low <= 0xDFFF:
                raise _error("The surrogate pair in string is invalid.", start)
            code = 0x10000 + (code - 0xD800) * 0x400 + (low - 0xDC00)
        return chr(code).encode()

    def _hex(self, start: int) -> int:
        text = self._body[self._at : self._at + 4]
        if re.fullmatch(rb"[0-9a-fA-F]{4}", text) is None:
            raise _error("Incorrect hex digit after \\u escape in string.", start)
        self._at += 4
        return int(text, 16)


def _error(message: str, offset: int) -> ServingError:
    return invalid_argument(f"JSON Parse error: {message} at offset: {offset}")
