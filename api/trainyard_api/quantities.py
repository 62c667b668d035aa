"""Kubernetes quantities, read within bounds: arithmetic on an exponent that somebody else chose may never end."""

import re
from decimal import Decimal

# As many digits as 9E has, which is about what Kubernetes itself can hold.
_NUMBER = r"([0-9]{1,19}(\.[0-9]{0,9})?|\.[0-9]{1,9})"
_SUFFIX = r"([KMGTPE]i|[numkMGTPE]|[eE][-+]?(0?[0-9]|1[0-8]))"
QUANTITY_PATTERN = f"^{_NUMBER}{_SUFFIX}?$"
# Of texts that look like numbers, those with an exponent that nobody can hold; what else is wrong is told in words.
EXPONENT_PATTERN = r"^(.*[^-+0-9]|[^eE]*|[^eE]*[eE][-+]?(0?[0-9]|1[0-8]))$"
MOST = 2**63 - 1
"""The API server caps what is more."""

_QUANTITY = re.compile(f"(?P<number>{_NUMBER})(?P<suffix>{_SUFFIX})?")
_FACTORS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{letter: Decimal(1000**power) for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", 1)},
}


def parse_quantity(quantity: object) -> Decimal:
    """Return a quantity such as `500m`, `16Gi`, `1e3` or 2 as a number.

    Raises:
        ValueError: it is not a quantity, or more than Kubernetes can hold.
    """
    text = str(quantity) if isinstance(quantity, str) or _is_small(quantity) else ""
    match = _QUANTITY.fullmatch(text) if len(text) <= 40 else None
    if match is None:
        raise ValueError(f"expected a quantity such as 500m, 2 or 16Gi, got {text[:40]!r}")
    suffix = match["suffix"] or ""
    factor = _FACTORS[suffix] if suffix in _FACTORS else Decimal(f"1{suffix}")
    amount = Decimal(match["number"]) * factor
    if amount > MOST:
        raise ValueError(f"expected a quantity of at most {MOST}, got {text!r}")
    return amount


def _is_small(quantity: object) -> bool:
    # The text of an integer of any size is not to be had: Python refuses those of more than 4,300 digits.
    return isinstance(quantity, int) and not isinstance(quantity, bool) and 0 <= quantity <= MOST
