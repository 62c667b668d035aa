"""Columns that identify rows: names, ids, tickets, row numbers. A model would learn its rows by heart from them."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainyard_trainer.data.moments import is_moment, looks_like_moment
from trainyard_trainer.data.numerals import looks_like_number

FEWEST_ROWS = 20
"""With fewer rows, different values mean little."""
_SHARE = 0.5
_FEW_ODD = 20
"""With more different texts beside numbers, they are no slips: tickets, account and part numbers."""
_ID_NAME = re.compile(
    r"(.*[_ .-])?(id|ids|idx|index|uuid|guid|key|rownum|row[_ ]?(id|nr|no|num|number|index)|serial|recno|pk)|#|nr|no"
    r"|.*[a-z](Id|ID|Idx|Uuid|Key)",
)
_EXACT = 2.0**53


def why_identifier(name: str, values: pa.Array, rows: pa.Array) -> str | None:
    """Return why a column of texts or numbers is none to learn from, or nothing where it may be one.

    Args:
        name: The column's name.
        values: Some values, texts (null where missing) or numbers, as Arrow array.
        rows: The numbers of their rows in the file.
    """
    if pa.types.is_string(values.type):
        return _why_text(values.drop_null())
    return _why_number(name, values, rows)


def _why_text(texts: pa.Array) -> str | None:
    different = pc.unique(texts)
    # A value that is not in UTF-8 is a bad row to whoever reads it later.
    some = [value.decode("utf-8", "replace") for value in different[:1000].cast(pa.binary()).to_pylist()]
    if some and all(map(is_moment, some)):
        return f"it holds dates, such as {some[0]!r}: to use it, say date in data.columns"
    if some and all(map(looks_like_moment, some)):
        return (
            f"it holds dates or times, such as {some[0]!r}: to use it, write them like 2026-01-31 or "
            "2026-01-31T12:30:00 and say date in data.columns"
        )
    if len(texts) < FEWEST_ROWS or len(different) <= _SHARE * len(texts):
        return None
    odd = sum(not looks_like_number(text) for text in some)
    if 2 * odd < len(some) and not all(map(str.isdigit, some)) and odd <= _FEW_ODD:
        return None  # numbers in several notations, or some words among them: worth an error
    return (
        f"it tells rows apart rather than groups of rows: {len(different):,} different texts in {len(texts):,} rows, "
        f"such as {_short(some[0])!r}; to use it, name it in data.features, or say text, category or number in "
        "data.columns"
    )


def _why_number(name: str, values: pa.Array, rows: pa.Array) -> str | None:
    if values.null_count or len(values) < FEWEST_ROWS or pa.types.is_boolean(values.type):
        return None
    numbers = values.to_numpy(zero_copy_only=False)
    if pa.types.is_floating(values.type) and not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        return None
    numbers = numbers.astype(np.float64)
    if numbers[0] - rows[0] in (0, 1) and (np.diff(numbers) == np.diff(rows)).all():
        return "it holds the numbers of the rows; to use it, name it in data.features"
    if pc.count_distinct(values).as_py() == len(values) and (
        _ID_NAME.fullmatch(name) or np.abs(numbers).max() > _EXACT
    ):
        return "it holds another whole number in every row, as ids do; to use it, name it in data.features"
    if np.abs(numbers).min() > _EXACT and min(map(_digits, numbers[:_FEW_ODD])) > 15:
        return (
            "it holds whole numbers of more than 15 digits, as ids do; to use it, say category or number in "
            "data.columns"
        )
    return None


def _digits(number: float) -> int:
    """Return how many digits tell a number from its neighbours: 6e24 has one."""
    return len(f"{number!r}".split("e")[0].strip("-").replace(".", ""))


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
