"""Quantities in their canonical form, which the API server stores instead of what was sent."""

from fractions import Fraction

from trainyard_devcluster.apiserver.values import Json
from trainyard_devcluster.quantity import parse

_DECIMAL = ("", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def canonical(value: Json) -> Json:
    """Return a quantity as Kubernetes writes it: no fraction, the largest suffix of its own family.

    What is no quantity is returned as it is; validation speaks of it.
    """
    text = str(value)
    try:
        exact = parse(text)
    except ValueError:
        return value
    if not exact:
        return "0"
    if text.endswith("i") and abs(exact) >= 1024 and exact.denominator == 1:
        return _scaled(exact, _BINARY, 1024)
    if exact.denominator != 1:
        for suffix, scale in (("m", 10**3), ("u", 10**6), ("n", 10**9)):
            if (exact * scale).denominator == 1:
                return f"{exact * scale}{suffix}"
        return f"{-(-exact * 10**9 // 1)}n"
    if any(letter in text for letter in "eE") and not text.endswith("E") and "Ei" not in text:
        return _exponent(exact)
    return _scaled(exact, _DECIMAL, 1000)


def _scaled(exact: Fraction, suffixes: tuple[str, ...], base: int) -> str:
    whole, index = exact.numerator, 0
    while whole % base == 0 and index < len(suffixes) - 1:
        whole, index = whole // base, index + 1
    return f"{whole}{suffixes[index]}"


def _exponent(exact: Fraction) -> str:
    whole, exponent = exact.numerator, 0
    while whole % 1000 == 0:
        whole, exponent = whole // 1000, exponent + 3
    return f"{whole}e{exponent}" if exponent else str(whole)
