"""The body of a REST predict request to tensors, by TensorFlow Serving's rules."""

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NoReturn

import numpy as np

from . import tensors
from .errors import ServingError, invalid_argument, unimplemented
from .json_parser import Json
from .json_text import parse, to_string

_FLOATS: Final = {"float", "double"}
# int8 and its like take any 32-bit integer and keep its low bits, as the protobuf they travel in does.
_INT_RANGES: Final = {
    "int32": (-(2**31), 2**31),
    "int16": (-(2**31), 2**31),
    "int8": (-(2**31), 2**31),
    "uint8": (-(2**31), 2**31),
    "int64": (-(2**63), 2**63),
    "uint32": (0, 2**32),
    "uint64": (0, 2**64),
}
_EXACT: Final = {"string": str, "bool": bool}
_MAX_RANK: Final = 64
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*")

Inputs = Mapping[str, int]
"""The inputs of a signature: the number of each one's type."""


@dataclass(frozen=True, slots=True)
class PredictBody:
    """A predict request as its body says it."""

    signature_name: str
    inputs: dict[str, Any]
    row: bool
    """Row format (`instances`) or columnar (`inputs`); the reply follows."""


def read_request(body: bytes, inputs_of: Callable[[str], Inputs]) -> PredictBody:
    """Read a request. `inputs_of` tells the inputs of the signature (empty name: the default). Raises ServingError."""
    document = parse(body)
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {to_string(document)} Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid_argument(
            f"JSON Value: {to_string(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    inputs = inputs_of(signature)
    if not inputs:
        raise invalid_argument(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    if "instances" in document:
        if "inputs" in document:
            _refuse(document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
        instances = document["instances"]
        if not isinstance(instances, list):
            _refuse(document, "Excepting 'instances' to be an list/array")
        if not instances:
            _refuse(document, "No values in 'instances' array")
        return PredictBody(signature, _from_rows(instances, inputs), row=True)
    if "inputs" in document:
        return PredictBody(signature, _from_columns(document["inputs"], inputs), row=False)
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _refuse(document: Json, reason: str) -> NoReturn:
    raise invalid_argument(f"JSON Value: {to_string(document)} {reason}")


def _from_rows(instances: Sequence[Json], inputs: Inputs) -> dict[str, Any]:
    first = instances[0]
    if not isinstance(first, dict) and len(inputs) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if not _is_named(first):
        name, number = next(iter(inputs.items()))
        array = _dense(list(instances), number)
        if array is not None:
            return {name: array}
    elif "b64" not in inputs and all(type(row) is dict and row.keys() == inputs.keys() for row in instances):
        columns = {name: _dense([row[name] for row in instances], n) for name, n in inputs.items()}  # type: ignore[call-overload,index]
        if all(array is not None for array in columns.values()):
            return columns
    return _Rows(inputs, named=_is_named(first)).read(instances)


class _Rows:
    """Row by row, which finds the first error in the order and the words of the original."""

    def __init__(self, inputs: Inputs, *, named: bool) -> None:
        self._inputs = inputs
        self._named = named
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._values: dict[str, list[Any]] = {}

    def read(self, instances: Sequence[Json]) -> dict[str, Any]:
        for index, row in enumerate(instances):
            if self._named:
                self._named_row(index, row)
            elif _is_named(row):
                raise invalid_argument(f"Expecting value/list but got object at item {index} of input list")
            else:
                self._add(f"{index}", next(iter(self._inputs)), row)
        return {
            name: _array(name, values, (len(instances), *self._shapes[name]), self._inputs[name])
            for name, values in self._values.items()
        }

    def _named_row(self, index: int, row: Json) -> None:
        if not isinstance(row, dict) or not _is_named(row):
            raise invalid_argument(f"Expecting object but got list at item {index} of input list")
        for name, value in row.items():
            self._add(f"{index} key: {name}", name, value)
        if row.keys() != self._inputs.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: {to_string(row)} keys must be "
                f"equal to: {','.join(sorted(self._inputs))}"
            )

    def _add(self, place: str, name: str, value: Json) -> None:
        try:
            self._add_item(name, value)
        except ServingError as error:
            # Whatever it was, it is an invalid argument now.
            raise invalid_argument(f"Failed to process element: {place} of 'instances' list. Error: {error}") from error

    def _add_item(self, name: str, value: Json) -> None:
        if name not in self._inputs:
            raise invalid_argument(f"JSON object: does not have named input: {name}")
        shape, values = _fill(value, self._inputs[name])
        expected = self._shapes.setdefault(name, shape)
        known = self._values.setdefault(name, [])
        if math.prod(expected) != len(values):
            raise invalid_argument(f"Expecting tensor size: {math.prod(expected)} but got: {len(values)}")
        if shape != expected:
            raise invalid_argument(f"Expecting shape {_shape_text(expected)} but got: {_shape_text(shape)}")
        known.extend(values)


def _from_columns(value: Json, inputs: Inputs) -> dict[str, Any]:
    if not isinstance(value, dict) or not _is_named(value):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        name, number = next(iter(inputs.items()))
        return {name: _column(name, value, number)}
    columns = {}
    for name, number in inputs.items():
        if name not in value:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        columns[name] = _column(name, value[name], number)
    return columns


def _column(name: str, value: Json, number: int) -> Any:
    array = _dense(value, number)
    if array is None:
        shape, values = _fill(value, number)
        array = _array(name, values, shape, number)
    return array


def _dense(value: Json, number: int) -> Any:
    """The tensor of a regular value of the right type, at once; None where it must be looked at closely."""
    shape: list[int] = []
    values: list[Any] = [value]
    while values and type(values[0]) is list:
        lengths = set(map(len, values)) if set(map(type, values)) == {list} else set()
        if len(lengths) != 1 or len(shape) == _MAX_RANK:
            return None
        shape.append(len(values[0]))
        values = list(chain.from_iterable(values))
    kind = tensors.data_types().get(number)
    types = set(map(type, values))
    if kind is None:
        return None
    if kind.name in _FLOATS:
        regular = types <= {float, int}
    elif kind.name in _INT_RANGES:
        low, high = _INT_RANGES[kind.name]
        regular = types <= {int} and (not values or (low <= min(values) and max(values) < high))
    else:
        regular = types <= {_EXACT.get(kind.name)}
    return (
        _array("", [_leaf_bytes(v) for v in values] if types == {str} else values, shape, number) if regular else None
    )


def _fill(value: Json, number: int) -> tuple[tuple[int, ...], list[Any]]:
    """Shape and values of one tensor, found value by value. Raises ServingError at the first that does not fit."""
    shape = _shape_of(value)
    values: list[Any] = []
    stack: list[tuple[Json, int]] = [(value, 0)]
    while stack:
        item, level = stack.pop()
        if not isinstance(item, list):
            if level != len(shape):
                raise invalid_argument(
                    f"JSON Value: {to_string(item)} found at incorrect level: {level + 1} in the JSON DOM. "
                    f"Expected at level: {len(shape)}"
                )
            values.append(_leaf(item, number))
        elif level >= len(shape):
            raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        elif len(item) != shape[level]:
            raise invalid_argument(
                f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {shape[level]}"
            )
        else:
            stack.extend((member, level + 1) for member in reversed(item))
    return shape, values


def _shape_of(value: Json) -> tuple[int, ...]:
    """The shape that the first elements make a tensor seem to have."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _leaf(value: Json, number: int) -> Any:
    kind = tensors.type_name(number)
    if isinstance(value, dict):
        if kind != "string":
            raise _type_error(value, kind)
        return _decode_base64(value)
    if kind in _FLOATS:
        fits = type(value) in (int, float)
    elif kind in _INT_RANGES:
        low, high = _INT_RANGES[kind]
        fits = type(value) is int and low <= value < high
    elif kind == "bool":
        fits = type(value) is bool
    elif kind == "string":
        fits = type(value) is str
    else:
        raise unimplemented(f"Conversion of JSON Value: {to_string(value)} to type: {kind}")
    if not fits:
        raise _type_error(value, kind)
    return _leaf_bytes(value) if isinstance(value, str) else value


def _type_error(value: Json, expected: str) -> ServingError:
    names = {dict: "Object", list: "Array", str: "String", type(None): "Null"}
    name = str(value) if isinstance(value, bool) else names.get(type(value), "Number")
    return invalid_argument(f"JSON Value: {to_string(value)} Type: {name} is not of expected type: {expected}")


def _leaf_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _array(name: str, values: list[Any], shape: Sequence[int], number: int) -> Any:
    if len(shape) > _MAX_RANK:
        raise invalid_argument(f"tensor parsing error: {name}")
    kind = tensors.data_types()[number]
    if kind.name == "string":
        array = np.empty(len(values), np.object_)
        array[:] = values
        return array.reshape(shape)
    # Through the wide type: Python's integers do not go into a narrower one they overflow.
    wide = np.float64 if kind.name in _FLOATS else np.bool_ if kind.name == "bool" else np.int64
    if kind.name == "uint64":
        wide = np.uint64
    with np.errstate(over="ignore"):
        return np.array(values, wide).astype(kind.dtype).reshape(shape)


def _shape_text(shape: Iterable[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_named(value: Json) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _decode_base64(value: dict[str, Json]) -> bytes:
    if not _is_base64(value):
        raise invalid_argument(f"JSON Value: {to_string(value)} not formatted correctly for base64 data")
    # Blanks are skipped and the padding may be left out, but half a byte or wrong padding is refused.
    text = b"".join(_leaf_bytes(str(value["b64"])).split())
    digits = text.rstrip(b"=.")
    padding = len(text) - len(digits)
    if _BASE64.fullmatch(digits) is None or len(digits) % 4 == 1 or padding not in (0, -len(digits) % 4):
        raise invalid_argument("Unable to base64 decode")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4))
