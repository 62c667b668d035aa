"""Quantities as Kubernetes reads them."""

from fractions import Fraction

import pytest

from trainyard_devcluster import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", Fraction(2)),
        (2, Fraction(2)),
        ("500m", Fraction(1, 2)),
        ("1.5Gi", Fraction(3 * 2**29)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        (".5", Fraction(1, 2)),
        ("-1Ki", Fraction(-1024)),
        ("100n", Fraction(1, 10**7)),
    ],
)
def test_a_quantity_has_an_exact_value(text: str, value: Fraction) -> None:
    assert quantity.parse(text) == value


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "1KiB", "1ki", "m"])
def test_what_is_no_quantity_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity.parse(text)


@pytest.mark.parametrize(
    ("amount", "divisor", "pieces"),
    [("1500m", "1", 2), ("1500m", "1m", 1500), ("1Gi", "1Mi", 1024), ("2", "0", 2), ("100m", "1", 1)],
)
def test_division_rounds_up(amount: str, divisor: str, pieces: int) -> None:
    assert quantity.divide(amount, divisor) == pieces
