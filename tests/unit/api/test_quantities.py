from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cost import at_most
from support.custom_resources import refusals
from trainyard_api.quantities import MOST, QUANTITY_PATTERN, parse_quantity


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        pytest.param("500m", "0.5", id="milli"),
        pytest.param("100n", "1e-7", id="nano"),
        pytest.param("2u", "2e-6", id="micro"),
        pytest.param("1k", "1000", id="kilo"),
        pytest.param("2Ki", "2048", id="kibi"),
        pytest.param("1E", "1e18", id="exa, no exponent"),
        pytest.param("1e3", "1000", id="exponent"),
        pytest.param("1E3", "1000", id="capital exponent"),
        pytest.param("5e-1", "0.5", id="negative exponent"),
        pytest.param(".5", "0.5", id="no integer part"),
        pytest.param("1.", "1", id="no decimals"),
        pytest.param(3, "3", id="number"),
    ],
)
def test_a_quantity_is_a_number(quantity: Any, number: str) -> None:
    assert parse_quantity(quantity) == Decimal(number)


@pytest.mark.parametrize(
    "quantity",
    [
        pytest.param("", id="nothing"),
        pytest.param("one", id="a word"),
        pytest.param("1e999999", id="huge exponent"),
        pytest.param("1e-999999", id="tiny exponent"),
        pytest.param("1e19", id="exponent above 18"),
        pytest.param("1" * 20, id="too many digits"),
        pytest.param("9999999999E", id="more than Kubernetes holds"),
        pytest.param("-1", id="negative"),
        pytest.param(-1, id="negative number"),
        pytest.param(10**5000, id="a number of 5,000 digits"),
        pytest.param(True, id="a boolean"),
        pytest.param(None, id="null"),
        pytest.param("1\n", id="a line feed"),
        pytest.param("١", id="a digit of another script"),
        pytest.param("1 Gi", id="a blank"),
    ],
)
def test_anything_else_is_refused_at_once(quantity: Any) -> None:
    with at_most(0.05), pytest.raises(ValueError, match="expected a quantity"):
        parse_quantity(quantity)


@settings(deadline=None, max_examples=300)
@given(st.from_regex(QUANTITY_PATTERN, fullmatch=True, alphabet=st.characters(max_codepoint=127)))
def test_what_the_schema_takes_is_a_number_or_too_large(text: str) -> None:
    amount = Decimal(0)
    with at_most(0.05), suppress(ValueError):
        amount = parse_quantity(text)

    assert 0 <= amount <= MOST


def a_service(server: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    model = {"fromTraining": {"selector": {"matchLabels": labels}}}
    return {"kind": "ModelService", "metadata": {"name": "churn"}, "spec": {"model": model, "server": server}}


@pytest.mark.parametrize(
    ("cpu", "taken"),
    [
        pytest.param("1500m", True, id="as usual"),
        pytest.param(2, True, id="a number"),
        pytest.param("1e3", True, id="an exponent"),
        pytest.param("1e999999", False, id="huge exponent"),
        pytest.param("1e4000", False, id="large exponent"),
        pytest.param("-1", False, id="negative"),
        pytest.param(-1, False, id="negative number"),
        pytest.param(10**16, False, id="large number"),
    ],
)
def test_quantities_are_bounded_at_apply_time(cpu: Any, taken: bool) -> None:
    found = refusals(a_service({"resources": {"limits": {"cpu": cpu}}}, {"model": "churn"}))

    assert (found == []) is taken


@pytest.mark.parametrize(
    ("key", "taken"),
    [
        pytest.param("model", True, id="a name"),
        pytest.param("app.kubernetes.io/part-of", True, id="with a domain"),
        pytest.param("my model", False, id="a blank"),
        pytest.param("a/b/c", False, id="two slashes"),
        pytest.param("a" * 64, False, id="too long"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_keys_have_a_form_at_apply_time(key: str, taken: bool) -> None:
    template = {"labels": {key: "x"}, "annotations": {key: "x"}, "nodeSelector": {key: "x"}}

    found = refusals(a_service({"template": template}, {key: "x"}))

    assert len(found) == (0 if taken else 4)
