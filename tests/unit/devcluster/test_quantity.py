"""Quantities as Kubernetes reads them."""

from fractions import Fraction

import pytest

from support.cost import at_most
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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("1e999999999", Fraction(2**63 - 1), id="exponent"),
        pytest.param("9" * 4000, Fraction(2**63 - 1), id="digits"),
        pytest.param("-1e2147483647", Fraction(-(2**63) + 1), id="negative"),
        pytest.param("16Ei", Fraction(2**63 - 1), id="suffix"),
        pytest.param("1e-999999999", Fraction(1, 10**9), id="tiny"),
        pytest.param("0e999999999", Fraction(0), id="nothing, however often"),
        pytest.param("0." + "0" * 4000 + "1", Fraction(1, 10**9), id="zeros"),
        pytest.param("1" + "0" * 100 + "e-100", Fraction(1), id="large and small at once"),
        pytest.param("1.0000000001", Fraction(10**9 + 1, 10**9), id="rounded up"),
        pytest.param("0.1" + "0" * 100 + "1", Fraction(10**8 + 1, 10**9), id="rounded up for the last digit"),
    ],
)
def test_a_huge_or_tiny_quantity_ends_at_the_limits_that_kubernetes_has_and_at_once(text: str, value: Fraction) -> None:
    with at_most(0.05):
        assert quantity.parse(text) == value


@pytest.mark.parametrize("text", ["1e2147483648", "1e" + "9" * 5000, "1e-99999999999"])
def test_an_exponent_of_more_than_32_bits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a quantity") as refused:
        quantity.parse(text)
    assert len(str(refused.value)) < 200


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
