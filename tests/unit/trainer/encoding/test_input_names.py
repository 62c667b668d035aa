"""Inputs named like the columns."""

import keyword

import pytest

from trainyard_trainer.encoding.input_names import plain_names


@pytest.mark.parametrize(
    "name", ["mean radius", "größe (cm)", "a/b", "2nd", "a.b", "", "_x", "self", "class", "日本", "a\nb"]
)
def test_a_name_that_tensorflow_cannot_save_gets_a_plain_one(name: str) -> None:
    plain = plain_names([name])[name]

    assert plain.isidentifier()
    assert plain.isascii()
    assert not keyword.iskeyword(plain)


def test_other_names_stay() -> None:
    names = ["radius_mean", "X", "training", "inputs", "a1"]

    assert plain_names(names) == {name: name for name in names}


def test_no_two_columns_get_the_same_name() -> None:
    names = ["a b", "a_b", "Column_0_0", "a-b", "column_3_0", "Age", "age", "AGE"]

    assert len({name.lower() for name in plain_names(names).values()}) == len(names)
