"""The body of a predict request."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard_modelserver.errors import Code, ServingError
from trainyard_modelserver.json_request import PredictBody, read_request

FLOAT, DOUBLE, INT32, INT8, STRING, INT64, BOOL = 1, 2, 3, 6, 7, 9, 10
UINT16, HALF, UINT32, UINT64, BFLOAT16, COMPLEX64 = 17, 19, 22, 23, 14, 8


def read(body: Any, **inputs: int) -> PredictBody:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(raw, lambda signature: dict(sorted(inputs.items())))


def refused(body: Any, **inputs: int) -> ServingError:
    with pytest.raises(ServingError) as raised:
        read(body, **inputs)
    return raised.value


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (FLOAT, [1, 2.5, -3e-5], np.array([1, 2.5, -3e-5], np.float32)),
        # Integers too long for a float are rounded, and what is beyond it is infinite.
        (FLOAT, [1435774380, 1e39, -1e39], np.array([1435774336, np.inf, -np.inf], np.float32)),
        (FLOAT, [2**70], np.array([2.0**70], np.float32)),
        (DOUBLE, [1, 0.1], np.array([1, 0.1])),
        (INT32, [-(2**31), 2**31 - 1], np.array([-(2**31), 2**31 - 1], np.int32)),
        (INT8, [1, 300], np.array([1, 44], np.int8)),
        (INT64, [-(2**63), 2**63 - 1], np.array([-(2**63), 2**63 - 1])),
        (UINT32, [0, 2**32 - 1], np.array([0, 2**32 - 1], np.uint32)),
        (UINT64, [0, 2**64 - 1], np.array([0, 2**64 - 1], np.uint64)),
        (BOOL, [True, False], np.array([True, False])),
        (STRING, ["a", "é", {"b64": "/w=="}], np.array([b"a", "é".encode(), b"\xff"], object)),
        (FLOAT, [[[1], [2]], [[3], [4]]], np.array([[[1], [2]], [[3], [4]]], np.float32)),
        (FLOAT, [[], []], np.zeros((2, 0), np.float32)),
    ],
)
def test_values_become_tensors_in_either_format(dtype: int, values: Any, expected: Any) -> None:
    for body, row in (({"instances": values}, True), ({"inputs": values}, False), ({"inputs": {"x": values}}, False)):
        request = read(body, x=dtype)
        assert request.row is row
        assert request.inputs["x"].dtype == expected.dtype
        np.testing.assert_array_equal(request.inputs["x"], expected)


def test_numbers_that_are_not_finite_are_taken() -> None:
    request = read(b'{"instances": [NaN, Infinity, -Infinity]}', x=FLOAT)
    np.testing.assert_array_equal(request.inputs["x"], np.array([np.nan, np.inf, -np.inf], np.float32))


def test_rows_name_several_inputs() -> None:
    rows = [{"a": 1.5, "b": ["x", "y"]}, {"b": ["z", "w"], "a": 2}]
    inputs = read({"instances": rows}, a=FLOAT, b=STRING).inputs
    np.testing.assert_array_equal(inputs["a"], np.array([1.5, 2], np.float32))
    np.testing.assert_array_equal(inputs["b"], np.array([[b"x", b"y"], [b"z", b"w"]], object))


def test_columns_name_several_inputs_and_may_name_more() -> None:
    inputs = read({"inputs": {"a": [1.5], "b": {"b64": "aGVsbG8="}, "c": "?"}}, a=FLOAT, b=STRING).inputs
    assert sorted(inputs) == ["a", "b"]
    assert inputs["b"].shape == ()
    assert inputs["b"][()] == b"hello"


def test_a_column_may_be_a_scalar() -> None:
    assert read({"inputs": 3}, x=INT32).inputs["x"].shape == ()


def test_other_keys_at_the_top_are_passed_over_and_the_signature_is_read() -> None:
    request = read({"signature_name": "s", "instances": [1], "parameters": {"x": 1}}, x=FLOAT)
    assert request.signature_name == "s"


def type_error(value: str, kind: str, expected: str) -> str:
    return f"JSON Value: {value} Type: {kind} is not of expected type: {expected}"


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        (FLOAT, "a", type_error('"a"', "String", "float")),
        (FLOAT, None, type_error("null", "Null", "float")),
        (FLOAT, True, type_error("true", "True", "float")),
        (FLOAT, {"b64": "AA=="}, type_error('{\n    "b64": "AA=="\n}', "Object", "float")),
        (DOUBLE, False, type_error("false", "False", "double")),
        (INT32, 1.0, type_error("1.0", "Number", "int32")),
        (INT32, 2**31, type_error("2147483648", "Number", "int32")),
        (INT64, 2**63, type_error("9223372036854775808", "Number", "int64")),
        (INT64, 2**64, type_error("18446744073709552000.0", "Number", "int64")),
        (UINT32, -1, type_error("-1", "Number", "uint32")),
        (UINT64, -1, type_error("-1", "Number", "uint64")),
        (BOOL, 1, type_error("1", "Number", "bool")),
        (STRING, 1, type_error("1", "Number", "string")),
        (STRING, {"b64": "!"}, "Unable to base64 decode"),
        (STRING, {"b64": "AAA=="}, "Unable to base64 decode"),
        (STRING, {"b64": "A"}, "Unable to base64 decode"),
    ],
)
def test_values_of_another_type_are_refused(dtype: int, value: Any, message: str) -> None:
    error = refused({"inputs": [value]}, x=dtype)
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, message)
    error = refused({"instances": [value]}, x=dtype)
    # Within a list of rows the plain message has the row before it.
    assert error.message == f"Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: {message}"


@pytest.mark.parametrize("base64", ["AAA=", "AAA", "A A\nA =", "AAA."])
def test_padding_may_be_left_out_and_blanks_be_there(base64: str) -> None:
    assert read({"inputs": {"b64": base64}}, x=STRING).inputs["x"][()] == b"\0\0"


@pytest.mark.parametrize(
    ("dtype", "name"), [(HALF, "half"), (BFLOAT16, "bfloat16"), (COMPLEX64, "complex64"), (UINT16, "uint16")]
)
def test_types_that_json_cannot_carry_are_unimplemented(dtype: int, name: str) -> None:
    error = refused({"inputs": [1.5]}, x=dtype)
    assert (error.code, error.message) == (Code.UNIMPLEMENTED, f"Conversion of JSON Value: 1.5 to type: {name}")


FAILED = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: "


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([1], "JSON Value: [\n    1\n] Is not object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        (
            {"signature_name": 5, "instances": [1]},
            'JSON Value: {\n    "signature_name": 5,\n    "instances": [\n        1\n    ]\n} not formatted correctly. '
            "'signature_name' key must be a string value.",
        ),
        (
            {"instances": [1], "inputs": [1]},
            'JSON Value: {\n    "instances": [\n        1\n    ],\n    "inputs": [\n        1\n    ]\n} Not formatted '
            "correctly expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        ({"instances": 1}, "JSON Value: {\n    \"instances\": 1\n} Excepting 'instances' to be an list/array"),
        ({"instances": []}, "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        ({"instances": [[1, 2], [3, 4], [5, 6, 7]]}, FAILED.format(2) + "Expecting tensor size: 2 but got: 3"),
        ({"instances": [[1, 2], [3, 4], [[5, 6]]]}, FAILED.format(2) + "Expecting shape [2] but got: [1,2]"),
        ({"instances": [1, [1]]}, FAILED.format(1) + "Expecting shape [] but got: [1]"),
        (
            {"instances": [[1, [1]]]},
            FAILED.format(0) + "Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            {"instances": [[[1], 1]]},
            FAILED.format(0) + "JSON Value: 1 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        (
            {"instances": [[[1, 2], [1]]]},
            FAILED.format(0) + "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        ({"instances": [{"x": 1}, 1]}, "Expecting object but got list at item 1 of input list"),
        ({"instances": [1, {"x": 1}]}, "Expecting value/list but got object at item 1 of input list"),
        (
            {"instances": [{"x": 1}, {"y": 1}]},
            "Failed to process element: 1 key: y of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not "
            "have named input: y",
        ),
        (
            {"instances": [{}]},
            "Failed to process element: 0 of 'instances' list. JSON object: {} keys must be equal to: x",
        ),
        ({"inputs": {"y": 1}}, "Missing named input: x in 'inputs' object."),
    ],
)
def test_bodies_of_another_form_are_refused(body: Any, message: str) -> None:
    error = refused(body, x=INT32)
    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"instances": [1]},
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            {"inputs": [1]},
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            {"instances": [{"b": 1}]},
            "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"b\": 1\n} keys must be equal to: "
            "a,b",
        ),
        ({"inputs": {"a": 1}}, "Missing named input: b in 'inputs' object."),
    ],
)
def test_several_inputs_must_all_be_named(body: Any, message: str) -> None:
    assert refused(body, a=INT32, b=INT32).message == message


def test_a_signature_without_inputs_is_refused() -> None:
    assert refused({"instances": [1]}).message == "Failed to get input map for signature: DEFAULT"
    assert refused({"signature_name": "s"}).message == "Failed to get input map for signature: s"


def test_nesting_without_end_is_refused_and_breaks_nothing() -> None:
    deep = b'{"instances": ' + b"[" * 500_000 + b"1" + b"]" * 500_000 + b"}"
    assert refused(deep, x=FLOAT).message == "tensor parsing error: x"


ROWS = st.lists(
    st.recursive(
        st.integers(-5, 5) | st.floats(-5, 5) | st.just("a"), lambda inner: st.lists(inner, max_size=3), max_leaves=6
    ),
    min_size=1,
    max_size=4,
)


@given(ROWS)
def test_a_tensor_comes_of_every_list_that_numpy_takes_for_one_and_of_no_other(rows: list[Any]) -> None:
    try:
        expected = np.array(rows, np.float64).astype(np.float32) if "a" not in str(rows) else None
    except ValueError:
        expected = None
    try:
        array = read({"instances": rows}, x=FLOAT).inputs["x"]
    except ServingError:
        assert expected is None
    else:
        np.testing.assert_array_equal(array, expected)
