"""JSON as RapidJSON reads and prints it."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard_modelserver.errors import ServingError
from trainyard_modelserver.json_parser import Parser
from trainyard_modelserver.json_text import parse, to_string


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b" \n", "The document is empty. at offset: 2"),
        (b"{} {}", "The document root must not be followed by other values. at offset: 3"),
        (b"nul", "Invalid value. at offset: 3"),
        (b"nulL", "Invalid value. at offset: 3"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[-]", "Invalid value. at offset: 2"),
        (b"[+1]", "Invalid value. at offset: 1"),
        (b"{1:2}", "Missing a name for object member. at offset: 1"),
        (b'{"a":1,}', "Missing a name for object member. at offset: 7"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a":1 "b":2}', "Missing a comma or } after an object member. at offset: 7"),
        (b"[1 2]", "Missing a comma or ] after an array element. at offset: 3"),
        (b"[01]", "Missing a comma or ] after an array element. at offset: 2"),
        (b"[1", "Missing a comma or ] after an array element. at offset: 2"),
        (b'["\\x"]', "Invalid escape character in string. at offset: 2"),
        (b'["\\u12g4"]', "Incorrect hex digit after \\u escape in string. at offset: 2"),
        (b'["\\ud800"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b'["\\ud800\\u0041"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b'["a', "Missing a closing quotation mark in string. at offset: 3"),
        (b'["a\nb"]', "Invalid encoding in string. at offset: 3"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1e]", "Miss exponent in number. at offset: 3"),
        (b"[1e+]", "Miss exponent in number. at offset: 4"),
        (b"[1, 1e400]", "Number too big to be stored in double. at offset: 4"),
        (b"[" + b"9" * 400 + b"]", "Number too big to be stored in double. at offset: 1"),
    ],
)
def test_what_is_no_json_is_refused_with_rapidjsons_words(body: bytes, message: str) -> None:
    with pytest.raises(ServingError) as raised:
        parse(body)
    assert str(raised.value) == f"INVALID_ARGUMENT: JSON Parse error: {message}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[NaN, Infinity, -Infinity, Inf, -Inf, -NaN]", "[nan, inf, -inf, inf, -inf, nan]"),
        (b'["\\ud83d\\ude00"]', ["\U0001f600"]),
        (b'["\\u0000\\/\\b"]', ["\x00/\b"]),
        (b'["\xff"]', ["\udcff"]),
        (b"[1e308, 1E+2, -0, -0.0]", [1e308, 100.0, 0, -0.0]),
        (b"[123456789012345678901234567890]", [123456789012345678901234567890]),
        (b'{"a": {"b": []}, "c": [{}]}', {"a": {"b": []}, "c": [{}]}),
    ],
)
def test_what_rapidjson_takes_is_taken(body: bytes, value: Any) -> None:
    assert str(parse(body)) == str(value)


def test_depth_is_no_matter() -> None:
    deep = parse(b"[" * 500_000 + b"]" * 500_000)
    assert len(to_string(deep)) < 1 << 25


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_both_parsers_read_the_same(value: Any) -> None:
    body = json.dumps(value).encode()
    assert repr(Parser(body).document()) == repr(_narrowed(json.loads(body)))


def _narrowed(value: Any) -> Any:
    """As RapidJSON knows numbers: an integer of so many digits is a double."""
    match value:
        case dict():
            return {name: _narrowed(each) for name, each in value.items()}
        case list():
            return [_narrowed(each) for each in value]
        case int() if not isinstance(value, bool) and len(str(value)) >= 22:
            return float(value)
    return value


@given(st.binary())
def test_no_bytes_break_the_parser(body: bytes) -> None:
    with contextlib.suppress(ServingError):
        parse(body)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e300, "1e300"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ('a"\\\n\x01é', '"a\\"\\\\\\n\\u0001é"'),
        ([], "[]"),
        ({}, "{}"),
        ([1, [2.5, "x"]], '[\n    1,\n    [\n        2.5,\n        "x"\n    ]\n]'),
        ({"a": {"b": None}}, '{\n    "a": {\n        "b": null\n    }\n}'),
        # Within a value doubles have their shortest digits, in RapidJSON's layout.
        (
            [1e21, 1e20, 0.1, 1e-5, 1e-7, 1.5e-9, 0.0, -2.0],
            "[{}]".format(
                ",".join(
                    f"\n    {each}"
                    for each in ["1e21", "100000000000000000000.0", "0.1", "0.00001", "1e-7", "1.5e-9", "0.0", "-2.0"]
                )
                + "\n"
            ),
        ),
        ([2**64], "[\n    18446744073709552000.0\n]"),
        # The writer refuses what is not finite, and stops there.
        ([1, math.nan, 2], "[\n    1,\n    "),
    ],
)
def test_messages_show_a_value(value: Any, text: str) -> None:
    assert to_string(value) == text
