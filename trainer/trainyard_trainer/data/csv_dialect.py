"""How a CSV file is written: encoding, delimiter, quotes and the names of its columns. Guessed where nobody says it."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from trainyard_api.data import CsvFormat
from trainyard_trainer.data.file_signatures import foreign_format
from trainyard_trainer.data.numerals import looks_like_number
from trainyard_trainer.data.schema import header_advice
from trainyard_trainer.errors import BadInput

MISSING = (
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "N/A", "NA", "NULL", "NaN",
    "n/a", "nan", "null",
)  # fmt: skip
"""Texts that stand for a missing value, beside the empty one. They are Arrow's, and nearly those of pandas."""
HEADER_BYTES = 1 << 18
_DELIMITERS = ",\t;|"
_SAMPLED_RECORDS = 50
_LONGEST_NAME = 1000
_EXCEL_DELIMITER = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_FIRST_MARK = 0x10FF00
_MARKED = {0xDC00 + byte: _FIRST_MARK + byte for byte in range(0x80, 0x100)}
BAD_BYTE = rf"[\x{{{_FIRST_MARK + 0x80:X}}}-\x{{{_FIRST_MARK + 0xFF:X}}}]"
"""A pattern of what `RepairedText` puts where a byte does not belong to the encoding."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one file is written. `unnamed` are columns without a name of their own; they got one from their place.

    `skipped_lines` are blank ones before the header, or that in which Excel names the delimiter. `headless` tells that
    the first line looks like a row, `advice` what else may be wrong with it. `is_empty` tells that there is no row.
    """

    encoding: str
    delimiter: str
    quote: str
    names: tuple[str, ...]
    has_header: bool
    skipped_lines: int = 0
    unnamed: frozenset[str] = frozenset()
    headless: bool = False
    advice: str = ""
    is_empty: bool = False


class RepairedText(io.RawIOBase):
    """A file in UTF-8 whatever it was written in. Bytes that its encoding does not know become characters of nobody's.

    So Arrow can count the rows of any file, and a message can show the bytes.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        errors = "surrogateescape" if encoding in ("utf-8", "utf-8-sig") or _is_single_byte(encoding) else "replace"
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)(errors)
        self._ready = b""

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with UTF-8."""
        while not self._ready:
            chunk = self._stream.read(1 << 20)
            self._ready = _marked(self._decoder.decode(bytes(chunk), final=not chunk))
            if not chunk:
                break
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def close(self) -> None:
        """Close the file behind it."""
        self._stream.close()
        super().close()


def shown(text: str) -> str:
    """Return a text with the bytes that do not belong to its encoding as bytes."""
    return "".join(
        f"\\x{ord(each) - _FIRST_MARK:02x}" if _FIRST_MARK <= ord(each) <= _FIRST_MARK + 0xFF else each for each in text
    )


def dialect_of(start: bytes, name: str, settings: CsvFormat, *, whole: bool) -> Dialect:
    """Return how a file is written that begins so; `whole` tells that this is all of it.

    Raises:
        BadInput: it is no text at all, or the names of its columns cannot be read.
    """
    if found := foreign_format(start):
        what, remedy = found
        raise BadInput(f"{name} is {what}, not CSV: {remedy}")
    encoding = _encoding(start, name, settings.encoding)
    text = RepairedText(io.BytesIO(start), encoding).read().decode("utf-8", "replace")
    if not text.strip():
        raise BadInput(f"{name} is empty: expected a table with a header and at least one row")
    quote = '"' if settings.quote is None else settings.quote
    skipped_lines = _blank_lines(text)
    named = _EXCEL_DELIMITER.match(text.lstrip("\ufeff"))
    if named:  # Excel's own line, which names the delimiter and is no part of the table
        text, skipped_lines = text[named.end() :], 1
    delimiter = settings.delimiter or (named and named[1]) or _delimiter(text, quote)
    records = [*_records(text, delimiter, quote, whole=whole), list[str]()]
    first, others = records[0], records[1:]
    has_header = settings.header if settings.header is not None else not settings.names
    given = list(settings.names or ()) or ([] if has_header else [f"column_{i + 1}" for i in range(len(first))])
    names = given or [each.strip() for each in first]
    _refuse_unreadable(names, name, encoding)
    rows = [each for each in (others if has_header else [first, *others]) if each]
    headless = has_header and not settings.names and _is_row(names, rows)
    if rows and not settings.names and all(len(each) == len(names) + 1 for each in rows):
        # R names the columns, but not the one of row names; others end each row with a delimiter.
        names = [*names, ""] if not any(each[-1] for each in rows) else ["", *names]
    if long := [each for each in names if len(each) > _LONGEST_NAME]:
        raise BadInput(
            f"line 1 of {name}: a column has a name of {len(long[0]):,} characters ({shown(long[0][:40])}…), expected "
            f"{_LONGEST_NAME} at most: the first line must hold the names of the columns"
        )
    unnamed = [f"Unnamed: {place}" for place, each in enumerate(names) if not each]
    names = [each or f"Unnamed: {place}" for place, each in enumerate(names)]
    twice = [each for each, count in Counter(names).items() if count > 1]
    if twice:
        advice = header_advice() if headless else "give every column a name of its own"
        raise BadInput(f"{name} has two columns named {twice[0]!r}: {advice}")
    return Dialect(
        encoding=encoding,
        delimiter=delimiter,
        quote=quote,
        names=tuple(names),
        has_header=has_header,
        skipped_lines=skipped_lines,
        unnamed=frozenset(unnamed),
        headless=headless,
        advice=_advice(names, rows, text),
        is_empty=whole and not rows,
    )


def _advice(names: Sequence[str], rows: Sequence[Sequence[str]], text: str) -> str:
    """Return what to do about a first line that may not be the one with the names of the columns."""
    if len(names) > 1:
        return ""
    most = max((line.count(sign), sign) for line in text.splitlines()[:_SAMPLED_RECORDS] for sign in _DELIMITERS)
    if most[0]:
        return (
            f"its first line has no {most[1]!r}, and others have {most[0]}: the first line must hold the names of the "
            "columns; remove what stands before it"
        )
    return (
        "it has one column: if another sign than comma, semicolon, tab or bar separates the values, set "
        "data.csv.delimiter"
    )


def _encoding(start: bytes, name: str, declared: str | None) -> str:
    found = next((encoding for mark, encoding in _BOMS if start.startswith(mark)), None)
    if found:
        return found
    if declared:
        try:
            bytes(4).decode(
                declared, "surrogateescape"
            )  # what Python calls a codec may be none of texts, such as base64
            known = codecs.lookup(declared).name
        except (LookupError, ValueError):
            raise BadInput(
                f"data.csv.encoding is {declared!r}, which is no encoding: use a name such as utf-8, windows-1252, "
                "iso-8859-1, utf-16 or shift_jis"
            ) from None
        if known in ("utf-16", "utf-32"):
            raise BadInput(
                f"data.csv.encoding is {declared}, but {name} has no byte order mark: say {known}-le or {known}-be, or "
                "leave it out where the file is UTF-8"
            )
        return known
    if b"\0" in start:
        raise BadInput(
            f"{name} holds zero bytes, so it is not text in UTF-8: if it is CSV in UTF-16, set data.csv.encoding to "
            "utf-16-le or convert it with iconv -f UTF-16 -t UTF-8; if not, name a CSV file"
        )
    return "utf-8"


def _is_single_byte(encoding: str) -> bool:
    return not encoding.startswith(("utf", "shift", "euc", "gb", "big5", "cp93", "iso2022", "hz"))


def _marked(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.translate(_MARKED).encode("utf-8", "replace")


def _delimiter(text: str, quote: str) -> str:
    """Return the delimiter that cuts most lines into as many fields as the first, and into the most fields."""

    def score(delimiter: str) -> tuple[bool, float, int]:
        counts = [len(each) for each in _records(text, delimiter, quote, whole=False)]
        if not counts:
            return False, 0.0, 0
        alike = sum(each == counts[-1] for each in counts) / len(counts)
        return counts[0] > 1, alike, counts[0]

    return max(_DELIMITERS, key=score)


def _records(text: str, delimiter: str, quote: str, *, whole: bool) -> Iterator[list[str]]:
    """Yield the first records that are not blank; the last of a beginning may be cut."""
    limit = csv.field_size_limit(len(text) + 1)
    try:
        rows = csv.reader(
            io.StringIO(text.lstrip("\ufeff"), newline=""),
            delimiter=delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        filled = (each for each in rows if each)
        found = [each for each, _ in zip(filled, range(_SAMPLED_RECORDS + 1), strict=False)]
    except csv.Error:
        found = []
    finally:
        csv.field_size_limit(limit)
    if not whole and 1 < len(found) <= _SAMPLED_RECORDS:
        found.pop()
    yield from found[:_SAMPLED_RECORDS]


def _blank_lines(text: str) -> int:
    bare = text.lstrip("\ufeff")
    return len(bare[: len(bare) - len(bare.lstrip("\r\n"))].splitlines())


def _refuse_unreadable(names: Sequence[str], file: str, encoding: str) -> None:
    for name in names:
        if shown(name) != name:
            raise BadInput(
                f"line 1 of {file}: the column name '{shown(name)}' is not in {encoding.upper()}: save the file as "
                "UTF-8 (iconv -f WINDOWS-1252 -t UTF-8), or set data.csv.encoding, for example to windows-1252"
            )


def _is_row(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a first line looks like those that follow: it has numbers, or values that come again."""
    if any(map(looks_like_number, names)):
        return True
    columns = [{row[place].strip() for row in rows if place < len(row)} for place in range(len(names))]
    return any(name and name in column for name, column in zip(names, columns, strict=True))
