import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard_devcluster.controllers.job import indexes


@pytest.mark.parametrize(
    ("members", "text"),
    [((), ""), ((3,), "3"), ((0, 1), "0-1"), ((5, 1, 3, 4), "1,3-5"), ((0, 2, 4), "0,2,4")],
)
def test_indexes_are_written_as_kubernetes_writes_them(members: tuple[int, ...], text: str) -> None:
    assert indexes.render(members) == text
    assert indexes.parse(text) == set(members)


def test_a_status_without_indexes_has_none() -> None:
    assert indexes.parse(None) == frozenset()


@given(st.frozensets(st.integers(0, 60)))
def test_what_was_written_is_read_back(members: frozenset[int]) -> None:
    assert indexes.parse(indexes.render(members)) == members
