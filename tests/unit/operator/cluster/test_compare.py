from typing import Any

import pytest

from trainyard_operator.cluster.compare import amount, covers


@pytest.mark.parametrize(
    ("live", "wanted", "covered"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {"b": [{"c": 1, "default": 2}]}}, {"a": {"b": [{"c": 1}]}}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": [2, 1]}, {"a": [1, 2]}, False),
        ({}, {"a": {}, "b": [], "c": None, "d": "", "e": False}, True),
        ({}, {"a": 0}, False),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "1000m"}}, True),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1024Mi"}}, True),
        ({"limits": {"gpu": "2"}}, {"limits": {"gpu": 2}}, True),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "1100m"}}, False),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "one"}}, False),
        ({"requests": None}, {"requests": {"cpu": "1"}}, False),
        ({"text": "1.0"}, {"text": "1"}, False),
        ({"flag": True}, {"flag": False}, False),
        ({"count": 1}, {"count": True}, False),
        (None, {"a": 1}, False),
        ("text", {"a": 1}, False),
    ],
)
def test_what_is_wanted_is_covered_by_what_is_there(live: Any, wanted: Any, covered: bool) -> None:
    assert covers(live, wanted) is covered


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("500m", 0.5), ("1k", 1000), ("2Ki", 2048), (3, 3), ("1e3", 1000), ("one", None), ("", None)],
)
def test_a_quantity_is_a_number(quantity: Any, number: float | None) -> None:
    found = amount(quantity)

    assert (None if found is None else float(found)) == number
