"""The body of a predict reply, byte by byte."""

from typing import Any

import numpy as np
import pytest

from trainyard_modelserver.errors import Code, ServingError
from trainyard_modelserver.json_numbers import format_floats
from trainyard_modelserver.json_reply import error_body, write_reply

FLOAT = np.float32


def strings(*values: Any) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        (FLOAT, 0.0, "0.0"),
        (FLOAT, -0.0, "-0.0"),
        (FLOAT, 1.0, "1.0"),
        (FLOAT, 2.5, "2.5"),
        (FLOAT, 0.2, "0.2"),
        (FLOAT, 999999.0, "999999.0"),
        (FLOAT, 9000000.0, "9e+06"),
        (FLOAT, 0.00003, "3e-05"),
        (FLOAT, 1 / 3, "0.333333343"),
        (FLOAT, 16777217.0, "16777216.0"),
        (FLOAT, 1234567.0, "1234567.0"),
        (FLOAT, 1e-45, "1.4013e-45"),
        (FLOAT, 3.4028235e38, "3.40282347e+38"),
        (FLOAT, np.nan, "NaN"),
        (FLOAT, np.inf, "Infinity"),
        (FLOAT, -np.inf, "-Infinity"),
        (np.float64, 0.2, "0.2"),
        (np.float64, 1 / 3, "0.33333333333333331"),
        (np.float64, 1e300, "1e+300"),
        (np.float64, 0.1 + 0.2, "0.30000000000000004"),
    ],
)
def test_floats_are_printed_short_where_that_is_exact(dtype: Any, value: float, text: str) -> None:
    assert format_floats(np.array([value], dtype)) == [text]


@pytest.mark.parametrize(
    ("outputs", "row", "column"),
    [
        (
            {"y": np.array([2.5, 3, 4.5], FLOAT)},
            '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}',
            '{\n    "outputs": [\n        2.5,\n        3.0,\n        4.5\n    ]\n}',
        ),
        (
            {"y": np.array([[1, 2], [3, 4]])},
            '{\n    "predictions": [[1, 2], [3, 4]\n    ]\n}',
            '{\n    "outputs": [\n        [\n            1,\n            2\n        ],\n        [\n            3,\n'
            "            4\n        ]\n    ]\n}",
        ),
        (
            {"b": np.array([True, False]), "a": strings(b'x"', "é".encode())},
            '{\n    "predictions": [\n        {\n            "a": "x\\"",\n            "b": true\n        },\n'
            '        {\n            "a": "é",\n            "b": false\n        }\n    ]\n}',
            '{\n    "outputs": {\n        "a": [\n            "x\\"",\n            "é"\n        ],\n        "b": [\n'
            "            true,\n            false\n        ]\n    }\n}",
        ),
        (
            {"raw_bytes": strings(b"\xff\x00")},
            '{\n    "predictions": [{\n            "b64": "/wA="\n        }\n    ]\n}',
            '{\n    "outputs": [\n        {\n            "b64": "/wA="\n        }\n    ]\n}',
        ),
        ({"y": np.zeros((0, 3), FLOAT)}, '{\n    "predictions": []\n}', '{\n    "outputs": []\n}'),
        (
            {"y": np.zeros((2, 0), FLOAT)},
            '{\n    "predictions": [[], []\n    ]\n}',
            '{\n    "outputs": [\n        [],\n        []\n    ]\n}',
        ),
        (
            {"y": np.array([2**64 - 1], np.uint64)},
            '{\n    "predictions": [18446744073709551615\n    ]\n}',
            '{\n    "outputs": [\n        18446744073709551615\n    ]\n}',
        ),
    ],
)
def test_the_layout_is_rapidjsons(outputs: dict[str, Any], row: str, column: str) -> None:
    assert write_reply(outputs, row=True).decode() == row
    assert write_reply(outputs, row=False).decode() == column


def test_a_scalar_goes_in_columns_only() -> None:
    assert write_reply({"y": np.array(1.5, FLOAT)}, row=False) == b'{\n    "outputs": 1.5\n}'
    with pytest.raises(ServingError, match=r"^INVALID_ARGUMENT: Tensor name: y has no shape information $"):
        write_reply({"y": np.array(1.5, FLOAT)}, row=True)


def test_rows_need_outputs_of_one_length() -> None:
    outputs = {"a": np.zeros(2, FLOAT), "b": np.zeros(3, FLOAT)}
    with pytest.raises(ServingError, match="Tensor name: b has inconsistent batch size: 3 expecting: 2"):
        write_reply(outputs, row=True)
    assert write_reply(outputs, row=False)


@pytest.mark.parametrize(("dtype", "name"), [(np.float16, "half"), (np.complex64, "complex64")])
def test_types_that_json_cannot_carry_are_refused(dtype: Any, name: str) -> None:
    with pytest.raises(ServingError) as raised:
        write_reply({"y": np.zeros(1, dtype)}, row=False)
    assert raised.value.code is Code.INVALID_ARGUMENT
    assert raised.value.message == f"Failed to write JSON value for tensor type: {name}"


def test_no_outputs_are_an_error() -> None:
    with pytest.raises(ServingError, match="Cannot convert empty tensor map to JSON"):
        write_reply({}, row=True)


def test_bytes_that_are_no_text_go_out_as_they_are() -> None:
    assert write_reply({"y": strings(b"\xff\n\x1f")}, row=True) == b'{\n    "predictions": ["\xff\\n\\u001F"\n    ]\n}'


def test_an_error_is_an_object_with_one_key() -> None:
    assert error_body('no "x"') == b'{\n    "error": "no \\"x\\""\n}'
