"""Rows, images and sounds as requests that TensorFlow Serving takes, and its answers as rows."""

import base64
import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from trainyard.errors import Refused, Unreachable, Usage
from trainyard.tables import MISSING, delimiter_of
from trainyard_api.names import SIGNATURE
from trainyard_api.suggestions import closest, did_you_mean, listed

Instance: TypeAlias = dict[str, Any]
Prediction: TypeAlias = dict[str, Any]

MEDIA_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".wav")
_BYTES_SUFFIX = "_bytes"
_STRING = "DT_STRING"
_WHOLE = ("DT_INT", "DT_UINT")
_BATCH = 256
_OUTPUTS = ("label", "labels", "value", "probability", "probabilities", "score", "scores")


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def is_text(self) -> bool:
        """Whether it takes texts or bytes."""
        return self.dtype == _STRING

    @property
    def is_bytes(self) -> bool:
        """Whether it takes the bytes of a file."""
        return self.is_text and self.name.endswith(_BYTES_SUFFIX)

    @property
    def missing(self) -> Any:
        """What stands for a value that is missing."""
        if self.is_text:
            return ""
        return 0 if self.dtype.startswith(_WHOLE) else math.nan


@dataclass(frozen=True, slots=True)
class Signature:
    """What a served model takes and answers."""

    model: str
    version: int
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]

    def named(self, name: str) -> Input | None:
        """Return the input of that name."""
        return next((each for each in self.inputs if each.name == name), None)


def signature_of(model: str, metadata: Mapping[str, Any]) -> Signature:
    """Return the signature in the answer of `/v1/models/MODEL/metadata`.

    Raises:
        Refused: the model has no signature that takes a vector for each feature.
    """
    signatures = metadata.get("metadata", {}).get("signature_def", {}).get("signature_def", {})
    if SIGNATURE not in signatures:
        raise Refused(f"model {model} has no signature {SIGNATURE}: it has {listed(signatures) or 'none'}")
    chosen = signatures[SIGNATURE]
    inputs = [Input(name, each["dtype"], _shape(each)) for name, each in sorted((chosen.get("inputs") or {}).items())]
    version = int(metadata.get("model_spec", {}).get("version") or 0)
    return Signature(model, version, tuple(inputs), tuple(sorted(chosen.get("outputs") or {})))


def instances_of(rows: Sequence[Mapping[str, Any]], signature: Signature) -> list[Instance]:
    """Return rows as a model takes them: numbers as numbers, texts as texts, what is missing as it was in training.

    Columns the model does not know are left out where it knows others, so that a file may have its label still.

    Raises:
        Usage: a row has none of the model's columns, or a text where the model takes a number.
    """
    names = [each.name for each in signature.inputs]
    _refuse_misspelt(rows, signature)
    instances = []
    for number, row in enumerate(rows, 1):
        if not any(name in row for name in names):
            given = next(iter(row), "")
            raise Usage(
                f"row {number} has none of the columns of model {signature.model}"
                f"{did_you_mean(str(given), names)} (they are {listed(names, 12)})"
            )
        instances.append({each.name: _value(each, row.get(each.name), number) for each in signature.inputs})
    return instances


def _refuse_misspelt(rows: Sequence[Mapping[str, Any]], signature: Signature) -> None:
    """A column of nearly the name of one that is missing is a typing error; nobody wants an answer without it."""
    missing = missing_columns(rows, signature)
    for name in unknown_columns(rows, signature):
        if better := closest(name, missing):
            raise Usage(f"model {signature.model} has no column {name!r}; did you mean {better!r}?")


def unknown_columns(rows: Sequence[Mapping[str, Any]], signature: Signature) -> list[str]:
    """Return the columns of rows that the model does not take."""
    return [name for name in dict.fromkeys(name for row in rows for name in row) if signature.named(str(name)) is None]


def missing_columns(rows: Sequence[Mapping[str, Any]], signature: Signature) -> list[str]:
    """Return the columns the model takes and no row has."""
    return [each.name for each in signature.inputs if not any(each.name in row for row in rows)]


def rows_of(given: str, signature: Signature) -> list[dict[str, Any]]:
    """Return the rows in JSON, or in a file: JSON, JSON lines, CSV, an image or a WAV file.

    Raises:
        Usage: it is neither, or does not exist.
    """
    if given.lstrip().startswith(("{", "[")):
        return _from_json(given, "the row")
    path = Path(given).expanduser()
    if not path.exists():
        raise Usage(f'{given} is no file, and no JSON such as {{"age": 42}}: give a row as JSON, or a file')
    suffix = path.suffix.lower()
    if suffix in MEDIA_SUFFIXES:
        return [{_media_input(signature, path): path.read_bytes()}]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Usage(f"{path} is neither a text in UTF-8 nor one of {', '.join(MEDIA_SUFFIXES)}") from error
    if suffix in (".json", ".jsonl", ".ndjson"):
        return _from_json(text, str(path))
    if suffix == ".txt" and len(signature.inputs) == 1:
        return [{signature.inputs[0].name: text}]
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter_of(text.partition("\n")[0])))


def example_of(signature: Signature) -> Instance:
    """Return a row that a model takes, with nothing in it."""
    return {
        each.name: _filled("" if each.is_text else 0.0, each.shape[1:]) for each in signature.inputs
    }  # fmt: skip


def batches(instances: Sequence[Instance]) -> Iterator[Sequence[Instance]]:
    """Yield instances in as many as a request should have."""
    for start in range(0, len(instances), _BATCH):
        yield instances[start : start + _BATCH]


def body_of(instances: Sequence[Instance]) -> bytes:
    """Return the body of a request. TensorFlow Serving reads NaN, though JSON has none."""
    return json.dumps({"instances": list(instances)}, ensure_ascii=False).encode()


def answers_in(status: int, body: bytes, signature: Signature) -> list[Prediction]:
    """Return the predictions in a reply, with the outputs that matter first.

    Raises:
        Refused: the model says what is wrong with the request.
        Unreachable: something between here and the model answered instead.
    """
    text = body.decode(errors="replace")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Unreachable(f"model {signature.model}: expected JSON, got {status} {text[:200]!r}") from error
    if status != 200 or "predictions" not in found:
        raise Refused(
            f"model {signature.model} refuses the request: {' '.join(str(found.get('error', found)).split())}"
        )
    predictions: list[Any] = found["predictions"]
    return [_sorted(each) if isinstance(each, dict) else {_only(signature): each} for each in predictions]


def _sorted(prediction: Prediction) -> Prediction:
    order = sorted(prediction, key=lambda name: (_OUTPUTS.index(name) if name in _OUTPUTS else 99, name))
    return {name: prediction[name] for name in order}


def _only(signature: Signature) -> str:
    return signature.outputs[0] if signature.outputs else "value"


def _shape(tensor: Mapping[str, Any]) -> tuple[int, ...]:
    shape = tensor.get("tensor_shape") or {}
    return tuple(int(each.get("size", 0)) for each in shape.get("dim") or ())


def _value(each: Input, value: Any, row: int) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if value is None or (isinstance(value, str) and value in MISSING) or value != value:
        return _filled(each.missing, each.shape[1:])
    if each.is_text:
        return value if isinstance(value, str | list | dict) else _text(value)
    if isinstance(value, bool):
        return int(value)
    if hasattr(value, "item"):  # numpy's numbers
        value = value.item()
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return int(value.lower() == "true")
    try:
        return int(value) if each.dtype.startswith(_WHOLE) else float(value)
    except ValueError:
        raise Usage(f"row {row}: {each.name} expects a number, got {value!r}") from None


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _filled(value: Any, shape: Sequence[int]) -> Any:
    for size in reversed(shape):
        value = [value] * max(1, size)
    return value


def _media_input(signature: Signature, path: Path) -> str:
    takes = [each.name for each in signature.inputs if each.is_text]
    chosen = [name for name in takes if name.endswith(_BYTES_SUFFIX)] or takes
    if len(signature.inputs) != 1 or not chosen:
        names = listed(each.name for each in signature.inputs)
        raise Usage(f"model {signature.model} does not take a file such as {path.name}: it takes {names}")
    return chosen[0]


def _from_json(text: str, where: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            found = [json.loads(line) for line in lines] if len(lines) > 1 else None
        except ValueError:
            found = None
        if found is None:
            raise Usage(f"{where} is no JSON: {error}; names and texts need double quotes") from error
    if isinstance(found, dict) and isinstance(found.get("instances"), list):
        found = found["instances"]
    rows = found if isinstance(found, list) else [found]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise Usage(f'{where}: expected a row such as {{"age": 42}}, or a list of rows')
    return rows
