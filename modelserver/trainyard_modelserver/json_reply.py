"""Tensors to the body of a REST predict reply, in the layout of RapidJSON's PrettyWriter."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from . import tensors
from .errors import invalid_argument
from .json_numbers import format_floats
from .json_text import quote

_FLOATS: Final = frozenset({"float", "double"})
_INTS: Final = frozenset({"int32", "int16", "int8", "uint8", "int64", "uint32", "uint64"})


def write_reply(outputs: Mapping[str, Any], *, row: bool) -> bytes:
    """The reply's body. A single output goes without its name. Raises ServingError."""
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    text = _rows(outputs) if row else _columns(outputs)
    # Strings of a model are bytes, one character each up to here, and go out as they are.
    return text.encode("latin-1")


def error_body(message: str) -> bytes:
    """The body of every failed REST call."""
    return f'{{\n    "error": {quote(message)}\n}}'.encode("utf-8", "surrogateescape")


def _rows(outputs: Mapping[str, Any]) -> str:
    size = _batch_size(outputs)
    single = len(outputs) == 1
    # Depth counts the open brackets: the object, the list and, with several outputs, the row's own object.
    columns = {name: _items(name, outputs[name], size, 2 if single else 3) for name in sorted(outputs)}
    if not size:
        return '{\n    "predictions": []\n}'
    if single:
        (items,) = columns.values()
        return f'{{\n    "predictions": [{", ".join(items)}\n    ]\n}}'
    names = [quote(name.encode().decode("latin-1")) for name in columns]
    rows = (
        "{\n" + ",\n".join(f"            {name}: {item}" for name, item in zip(names, row, strict=True)) + "\n        }"
        for row in zip(*columns.values(), strict=True)
    )
    return '{\n    "predictions": [\n        ' + ",\n        ".join(rows) + "\n    ]\n}"


def _batch_size(outputs: Mapping[str, Any]) -> int:
    size = -1
    for name in sorted(outputs):
        shape = outputs[name].shape
        if not shape:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if size not in (-1, shape[0]):
            raise invalid_argument(f"Tensor name: {name} has inconsistent batch size: {shape[0]} expecting: {size}")
        size = shape[0]
    return size


def _items(name: str, array: Any, size: int, depth: int) -> list[str]:
    """One text per row, its lists on one line."""
    shape = array.shape[1:]
    leaves = _leaves(name, array, depth + len(shape))
    width = math.prod(shape)
    return [_nested(shape, leaves[row * width : (row + 1) * width], None) for row in range(size)]


def _columns(outputs: Mapping[str, Any]) -> str:
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return f'{{\n    "outputs": {_column_text(name, array, 1)}\n}}'
    members = (
        f"        {quote(name.encode().decode('latin-1'))}: {_column_text(name, outputs[name], 2)}"
        for name in sorted(outputs)
    )
    return '{\n    "outputs": {\n' + ",\n".join(members) + "\n    }\n}"


def _column_text(name: str, array: Any, depth: int) -> str:
    return _nested(array.shape, _leaves(name, array, depth + len(array.shape)), depth)


def _nested(shape: Sequence[int], leaves: Sequence[str], depth: int | None) -> str:
    """Lists of lists: on one line where the depth is None, else each value on a line of its own."""
    if not shape:
        return leaves[0]
    if not shape[0]:
        return "[]"
    inner = None if depth is None else depth + 1
    if len(shape) == 1:
        items: Sequence[str] = leaves
    else:
        width = len(leaves) // shape[0]
        items = [_nested(shape[1:], leaves[i * width : (i + 1) * width], inner) for i in range(shape[0])]
    if depth is None:
        return f"[{', '.join(items)}]"
    lead = "\n" + "    " * (depth + 1)
    return f"[{lead}{f',{lead}'.join(items)}\n{'    ' * depth}]"


def _leaves(name: str, array: Any, depth: int) -> list[str]:
    """The text of each value. `depth` is the number of brackets open around a value."""
    kind = tensors.data_type_of(array).name
    if kind in _FLOATS:
        return format_floats(array)
    if kind in _INTS:
        return list(map(str, array.ravel().tolist()))
    if kind == "bool":
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if kind == "string":
        values = [tensors.as_bytes(value) for value in array.ravel()]
        if not name.endswith("_bytes"):
            return [quote(value.decode("latin-1")) for value in values]
        lead = "\n" + "    " * (depth + 1)
        close = "\n" + "    " * depth
        return [f'{{{lead}"b64": "{base64.b64encode(value).decode()}"{close}}}' for value in values]
    if array.size:
        raise invalid_argument(f"Failed to write JSON value for tensor type: {kind}")
    return []
