"""Kubernetes quantities: `500m`, `2`, `1.5Gi`, `1e3`."""

import math
import re
from fractions import Fraction

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")


_MOST = Fraction(2**63 - 1)
_LEAST = Fraction(1, 10**9)
_DIGITS = 80
"""Digits that count: more than any quantity between the two needs, whatever its suffix."""


def parse(text: str | int | float) -> Fraction:
    """A quantity's value in base units (cores, bytes, pieces). ValueError where it is none.

    As in Kubernetes, it is rounded up to a billionth, and at most 2^63-1. However large an exponent, no number that is
    larger than that is ever made.
    """
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None or len(exponent := match[2] or "0") > _DIGITS or not -(2**31) <= int(exponent) < 2**31:
        raise ValueError(f"expected a quantity such as 500m, 2 or 1.5Gi, found {str(text)[:_DIGITS]!r}")
    sign = -1 if match[1].startswith("-") else 1
    whole, _, part = match[1].lstrip("+-").partition(".")
    digits = (whole + part).lstrip("0")
    power = int(exponent) - len(part)
    if not digits:
        return Fraction(0)
    if (magnitude := len(digits) + power) > _DIGITS:
        return sign * _MOST
    if magnitude < -_DIGITS:
        return sign * _LEAST
    kept, cut = digits[:_DIGITS], digits[_DIGITS:]
    number = int(kept) + (1 if cut.strip("0") else 0)
    value = number * Fraction(10) ** (power + len(cut)) * _SUFFIXES[match[3] or ""]
    return sign * min(math.ceil(value / _LEAST) * _LEAST, _MOST)


def divide(quantity: str | int | float, divisor: str | int | float) -> int:
    """How many of `divisor` a quantity is, rounded up, as `resourceFieldRef` counts. A divisor of 0 means 1."""
    return math.ceil(parse(quantity) / (parse(divisor) or 1))
