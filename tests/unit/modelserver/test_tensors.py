"""TensorProto and numpy."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from trainyard_modelserver.tensors import data_types, to_array, to_proto


def strings(*values: bytes) -> Any:
    array = np.empty(len(values), object)
    array[:] = values
    return array


ARRAYS = [
    *(np.arange(6).reshape(2, 3).astype(each.dtype) for each in data_types().values() if each.name != "string"),
    strings(b"a", b"", b"\xff\x00" * 200).reshape(3, 1),
    np.array(1.5, np.float32),
    np.zeros((0, 4), np.float64),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
@pytest.mark.parametrize("as_content", [False, True])
def test_an_array_comes_back_the_same_and_tensorflow_agrees(array: Any, as_content: bool) -> None:
    proto = tf.make_tensor_proto(0).__class__()
    to_proto(proto, array, as_content=as_content)
    back = to_array(proto)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    if not (as_content and array.dtype == object):
        np.testing.assert_array_equal(tf.make_ndarray(proto), array)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_what_tensorflow_writes_is_read(array: Any) -> None:
    np.testing.assert_array_equal(to_array(tf.make_tensor_proto(array)), array)


def proto(dtype: int, *shape: int, **fields: Any) -> Any:
    message = tf.make_tensor_proto(0).__class__(dtype=dtype, **fields)
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize(
    ("message", "values"),
    [
        (proto(1, 3, float_val=[1, 2]), [1, 2, 2]),
        (proto(1, 3), [0, 0, 0]),
        (proto(1, 1, float_val=[1, 2]), [1]),
        (proto(6, 1, int_val=[300]), [44]),
        (proto(7, 2, string_val=[b"a"]), [b"a", b"a"]),
        (proto(7, 2), [b"", b""]),
        (proto(7, 2, tensor_content=b"\x01\x02abc"), [b"a", b"bc"]),
    ],
)
def test_values_too_few_or_too_many_are_taken_as_tensorflow_takes_them(message: Any, values: list[Any]) -> None:
    assert to_array(message).tolist() == values


@pytest.mark.parametrize(
    "message",
    [
        proto(0, 1),
        proto(20, 1),
        proto(1, -1, float_val=[1]),
        proto(1, 2, tensor_content=b"\0" * 4),
        proto(7, 2, tensor_content=b"\x01\x02ab"),
        proto(7, 2, tensor_content=b"\xff"),
    ],
)
def test_what_is_no_tensor_is_refused(message: Any) -> None:
    with pytest.raises(ValueError, match="not a tensor"):
        to_array(message)


def test_a_shape_that_is_not_known_is_refused() -> None:
    message = proto(1, float_val=[1])
    message.tensor_shape.unknown_rank = True
    with pytest.raises(ValueError, match="not a tensor"):
        to_array(message)
