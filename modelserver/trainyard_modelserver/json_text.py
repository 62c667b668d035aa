"""JSON as RapidJSON reads and prints it: the same documents accepted, the same error texts and offsets."""

import json
import math
import re
from decimal import Decimal
from typing import Final

import numpy as np

from .errors import invalid_argument
from .json_numbers import format_floats
from .json_parser import Json, Parser

# Where Python's own parser accepts what RapidJSON refuses: half a surrogate pair, a number beyond a double.
_DOUBTFUL: Final = re.compile(rb"\\u[dD][89a-fA-F]|[eE]\+?[0-9]{3}|[0-9]{300}")
_MAX_TEXT: Final = 1 << 24
_BOM: Final = b"\xef\xbb\xbf"


def parse(body: bytes) -> Json:
    """Read a document. Bytes that are no UTF-8 come through as surrogate escapes. Raises ServingError.

    Python's parser does the work; where it refuses or its answer would be doubtful, the exact one decides.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    if not _DOUBTFUL.search(body):
        try:
            value: Json = json.loads(body.removeprefix(_BOM).decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            pass
        else:
            return value
    return Parser(body).document()


def to_string(value: Json) -> str:
    """A value as error messages show it (RapidJSON's PrettyWriter)."""
    if type(value) is float and math.isfinite(value) and abs(value) <= 3.4028234e38:
        return format_floats(np.asarray([value], np.float32))[0]
    if type(value) is float and not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return _pretty(value)


def quote(text: str) -> str:
    """A JSON string. Only what must be escaped is."""
    return f'"{text.translate(_QUOTED)}"'


_QUOTED: Final = {
    **{code: f"\\u{code:04X}" for code in range(0x20)},
    **{ord(char): f"\\{letter}" for char, letter in zip('"\\\b\f\n\r\t', '"\\bfnrt', strict=True)},
}


def _pretty(value: Json) -> str:
    """Print with four blanks an indent, without recursion: values can be nested deeply.

    A number that is not finite ends the text: the writer refuses it and stops. So does a text beyond all use: indents
    of deep nesting alone would fill the memory.
    """
    out: list[str] = []
    room = _MAX_TEXT
    # Values still to print, and texts between them.
    stack: list[tuple[Json, int, bool]] = [(value, 0, False)]
    while stack and room > 0:
        item, depth, is_text = stack.pop()
        if is_text:
            out.append(str(item))
            room -= len(out[-1])
        elif isinstance(item, (dict, list)) and item:
            out.append("{" if isinstance(item, dict) else "[")
            indent = "\n" + "    " * (depth + 1)
            pieces: list[tuple[Json, int, bool]] = []
            if isinstance(item, dict):
                for name, member in item.items():
                    lead = "," if pieces else ""
                    pieces += [(f"{lead}{indent}{quote(name)}: ", 0, True), (member, depth + 1, False)]
            else:
                for member in item:
                    pieces += [(f"{',' if pieces else ''}{indent}", 0, True), (member, depth + 1, False)]
            pieces.append(("\n" + "    " * depth + ("}" if isinstance(item, dict) else "]"), 0, True))
            stack.extend(reversed(pieces))
        elif isinstance(item, float) and not math.isfinite(item):
            break
        else:
            out.append(_scalar(item))
    return "".join(out)


def _scalar(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case int() if -(2**63) <= value < 2**64:
            return str(value)
        case int() | float():
            return _double(float(value))
        case _:
            return "{}" if isinstance(value, dict) else "[]"


def _double(value: float) -> str:
    """The shortest digits that come back as the same double, laid out as RapidJSON does."""
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return f"{sign}0.0"
    shortest = Decimal(repr(abs(value))).as_tuple()
    assert isinstance(shortest.exponent, int)
    point = len(shortest.digits) + shortest.exponent
    digits = "".join(map(str, shortest.digits)).rstrip("0")
    if len(digits) <= point <= 21:
        return f"{sign}{digits.ljust(point, '0')}.0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1}"
