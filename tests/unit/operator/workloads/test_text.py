import pytest

from trainyard_operator.workloads.text import clean, last_line, listed, reason_word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("  two\n lines\t", "two lines", id="one line"),
        pytest.param("\x00\x1b[31mred\x1b[0m", "[31mred [0m", id="control characters"),
        pytest.param("a\ud800b", "a b", id="lone surrogate"),
        pytest.param("a\u202eb", "a b", id="reversed writing"),
        pytest.param("größer 日本", "größer 日本", id="letters of any script"),
    ],
)
def test_text_is_safe_to_show(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert clean(text).encode()


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    found = clean("expected a number " + "x" * 5000 + " KeyError: 'a'")

    assert found.startswith("expected a number xxx")
    assert found.endswith("xxx KeyError: 'a'")
    assert found.count("…") == 1
    assert len(found) == 1000


def test_a_text_of_just_the_limit_is_not_cut() -> None:
    assert clean("x" * 1000) == "x" * 1000
    assert len(clean("x" * 1001)) == 1000


def test_the_last_line_of_a_trace_is_the_exception() -> None:
    assert last_line("Traceback\n  File x\nKeyError: 'a'\n\n") == "KeyError: 'a'"
    assert last_line("\n \n") == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("MaxEpochs", "MaxEpochs", id="a word"),
        pytest.param("two words", "Error", id="two words"),
        pytest.param("", "Error", id="nothing"),
        pytest.param("A" * 65, "Error", id="too long"),
    ],
)
def test_only_a_word_is_a_reason(text: str, reason: str) -> None:
    assert reason_word(text, "Error") == reason


def test_objects_are_listed_by_name() -> None:
    assert listed("Secret", ["a", "b"]) == "the Secret 'a' and the Secret 'b'"
