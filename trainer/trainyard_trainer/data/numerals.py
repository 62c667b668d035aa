"""Numbers as people write them: `28,7`, `1,234.50`, `$5`, `12 %`, `(3.20)`. Guessed from a column, then read alike."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

_SIGNS = ((".", ""), (".", ","), (".", " "), (".", "'"), (",", ""), (",", "."), (",", " "), (",", "'"))
"""Pairs of a decimal sign and what stands between thousands, the likeliest first."""
_MEASURES = r"%|‰|°|°C|°F|kg|g|mg|lbs?|oz|km|m|cm|mm|mi|ft|km/h|mph|ml|kWh|kW|Hz|kHz|MHz|GHz|h|hrs?|min|s|ms|KB|MB|GB"
_SPACES = "\u00a0\u202f\u2009"
_APOSTROPHES = "\u2019"
_MINUS = "\u2212"
_CURRENCIES = "$€£¥₹₩₽₺₫₴₦₱฿₪₡₲₵₸₼₾₿¢"
_CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|TRY"
_MONEY = rf"[{_CURRENCIES}]|R\$|Rs\.?|kr\.?|zł|{_CODES}"


@dataclass(frozen=True, slots=True)
class Notation:
    """How the numbers of a column are written.

    `unit` is what stands before or behind each of them, such as $ or %: the number is the one that is written. With
    `accounting` there is nothing else to it, but negative ones have parentheses around them, or the sign behind.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    accounting: bool = False

    def __str__(self) -> str:
        parts = [f"decimal {self.decimal!r}"]
        parts += [f"thousands {self.thousands!r}"] if self.thousands else []
        parts += [f"unit {self.unit!r}"] if self.unit else []
        parts += ["minus behind, or in parentheses"] if self.accounting else []
        return ", ".join(parts)


PLAIN = Notation()


def is_number(text: str) -> bool:
    """Return whether a text reads as a finite number in the notation of programs."""
    return _PLAIN.fullmatch(text) is not None


_PLAIN = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*", re.ASCII)


def looks_like_number(text: str) -> bool:
    """Return whether a text reads as a number in any notation."""
    return is_number(text) or next(_notations(text), None) is not None


def notations(texts: Iterable[str]) -> list[Notation]:
    """Return the notations in which all of some texts are numbers, the likeliest first.

    A text without a unit fits any currency, but no percent sign: half a percent is not a half.
    """
    signs: dict[tuple[str, str], None] | None = None
    units: set[str] = set()
    for text in texts:
        own = list(_notations(text))
        units |= {each.unit for each in own}
        fitting = {(each.decimal, each.thousands) for each in own}
        signs = {pair: None for pair in signs or _SIGNS if pair in fitting} if signs != {} else {}
        if not signs or len(units - {""}) > 1 or units >= {"", "%"}:
            return []
    return [Notation(*pair, max(units)) for pair in signs or ()]


def alike(texts: Sequence[str], candidates: Sequence[Notation]) -> bool:
    """Return whether some texts are the same numbers in any of these notations."""
    column = pa.array(texts, pa.string())
    first, *others = (to_numbers(column, each) for each in candidates)
    return all(first.equals(each) for each in others)


def to_numbers(column: pa.Array, notation: Notation) -> pa.Array:
    """Return a column of texts as float64; an empty text is null.

    Raises:
        pa.ArrowInvalid: one is no number in this notation.
    """
    trimmed = pc.utf8_trim_whitespace(column)
    texts = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    if notation == PLAIN:
        try:
            return pc.cast(texts, pa.float64())
        except pa.ArrowInvalid:  # an amount in parentheses, or a minus behind
            pass
    return pc.cast(_plain(texts, notation), pa.float64())


def _plain(texts: pa.Array, notation: Notation) -> pa.Array:
    """Return texts in the notation of programs; one that does not fit is left as no number at all."""
    texts = _common_signs(texts)
    pattern = _pattern(notation.decimal, notation.thousands, notation.unit)
    parts = pc.extract_regex(texts, pattern)
    digits = pc.struct_field(parts, "digits")
    if notation.thousands:
        digits = pc.replace_substring(digits, notation.thousands, "")
    if notation.decimal == ",":
        digits = pc.replace_substring(digits, ",", ".")
    minus = pc.or_(
        pc.not_equal(pc.struct_field(parts, "left"), ""),
        pc.or_(
            pc.or_(
                pc.not_equal(pc.struct_field(parts, "first"), ""), pc.not_equal(pc.struct_field(parts, "second"), "")
            ),
            pc.not_equal(pc.struct_field(parts, "last"), ""),
        ),
    )
    signed = pc.binary_join_element_wise(pc.if_else(minus, "-", ""), digits, "")
    # What does not match stays as it is, and fails to be cast.
    return pc.if_else(pc.and_(parts.is_null(), texts.is_valid()), texts, signed)


def _common_signs(texts: pa.Array) -> pa.Array:
    for sign in _SPACES:
        texts = pc.replace_substring(texts, sign, " ")
    return pc.replace_substring(pc.replace_substring(texts, _APOSTROPHES, "'"), _MINUS, "-")


@cache
def _pattern(decimal: str, thousands: str, unit: str) -> str:
    """Return a pattern (RE2, and Python's) of a number with its sign, or in parentheses, and its unit."""
    point, between, around = re.escape(decimal), re.escape(thousands), re.escape(unit)
    whole = rf"[1-9][0-9]{{0,2}}(?:{between}[0-9]{{2,3}})*{between}[0-9]{{3}}|[0-9]+" if thousands else "[0-9]+"
    number = rf"(?:{whole})(?:{point}[0-9]*)?(?:[eE][-+]?[0-9]+)?|{point}[0-9]+"
    before = rf"(?:{around} ?)?" if unit else ""
    after = rf"(?: ?{around})?" if unit else ""
    return rf"^(?P<left>\(?) ?\+?(?P<first>-?) ?{before}\+?(?P<second>-?)(?P<digits>{number}){after} ?\)?(?P<last>-?)$"


_BEFORE = re.compile(rf"{_MONEY}|%")
_AFTER = re.compile(rf"{_MONEY}|{_MEASURES}")


def _notations(text: str) -> Iterator[Notation]:
    text = text.strip()
    for sign in _SPACES:
        text = text.replace(sign, " ")
    text = text.replace(_APOSTROPHES, "'").replace(_MINUS, "-")
    if not text or len(text) > 40 or not any(map(str.isdigit, text)):
        return
    for unit in _units(text):
        for decimal, thousands in _SIGNS:
            found = re.fullmatch(_pattern(decimal, thousands, unit), text)
            if found and bool(found["left"]) == text.rstrip("-").endswith(")"):
                yield Notation(decimal, thousands, unit)


def _units(text: str) -> Iterator[str]:
    bare = text.strip("()-+ ")
    outside = re.fullmatch(r"(\D*?)\s*[-+]?[.,]?\d.*?\s*([^\d.,'()\s-]*)", bare)
    before, after = (outside[1].strip(" -+("), outside[2]) if outside else ("", "")
    exponent = re.fullmatch(r"[eE]", after) is not None
    given = before or ("" if exponent else after)
    if not given or (before and after):
        yield ""
    elif _BEFORE.fullmatch(before) or _AFTER.fullmatch(after):  # "g0" is a name: nobody writes grams in front
        yield given
