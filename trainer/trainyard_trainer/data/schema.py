"""Which columns a table has, what each holds, and which of them are the label and the features."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from trainyard_trainer.data.vectors import is_vector
from trainyard_trainer.errors import BadInput, did_you_mean, listed

Kind = Literal["number", "vector", "text", "texts", "bytes", "array"]
_KINDS: dict[str, Kind] = {
    "number": "number", "boolean": "number", "empty": "number", "vector": "vector", "text": "text", "bytes": "bytes",
    "array": "array",
}  # fmt: skip

_ACCEPTED: dict[Kind, tuple[str, ...]] = {
    "number": ("number", "boolean"), "vector": ("vector",), "text": ("text",), "texts": ("text", "texts"),
    "bytes": ("bytes",),
}  # fmt: skip

_ENTRY = {
    "number": "a number", "boolean": "true or false", "empty": "a number", "vector": "a list of numbers",
    "text": "a text", "texts": "a list of texts", "bytes": "bytes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column that training uses.

    Booleans and integers are numbers; a vector is a list of as many numbers in every row; texts are categories, or what
    a family reads; bytes are files such as images. A row of an array, or of vectors, has the given shape and type. Only
    a label may be a list of texts.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """The label and the features, in the order of the spec or else of the table."""

    label: Column
    features: tuple[Column, ...]
    validation: str | None = None
    """The column that chooses the validation rows."""
    slices: tuple[str, ...] = ()
    """The columns by whose values the metrics are told."""

    @property
    def dense(self) -> tuple[Column, ...]:
        """The features that are numbers or vectors."""
        return tuple(each for each in self.features if each.kind in ("number", "vector"))

    @property
    def numbers(self) -> tuple[str, ...]:
        """A name for each number of a row, those of vectors too: `age`, `pixels[0]`, `pixels[1]`."""
        return tuple(name for each in self.dense for name in _numbers_of(each))

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the features that are texts."""
        return tuple(each.name for each in self.features if each.kind == "text")

    @property
    def media(self) -> tuple[str, ...]:
        """Names of the features that are bytes or arrays."""
        return tuple(each.name for each in self.features if each.kind in ("bytes", "array"))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns to read, each once."""
        features = [each.name for each in self.features]
        return tuple(dict.fromkeys([*features, self.label.name, *filter(None, [self.validation]), *self.slices]))


def _numbers_of(column: Column) -> list[str]:
    return [f"{column.name}[{i}]" for i in range(column.shape[0])] if column.shape else [column.name]


def kind_of(type_: Any) -> str:
    """Return what a column of an Arrow type holds, or the type's own name where training has no use for it."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_null(type_):
        return "empty"
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return "text"
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_):
        return "bytes"
    if is_vector(type_):
        return "vector"
    if (pa.types.is_list(type_) or pa.types.is_large_list(type_)) and kind_of(type_.value_type) == "text":
        return "texts"
    return str(type_)


def merge(kinds_by_file: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """Return what each column holds in all files together.

    Raises:
        BadInput: a column is missing in a file, or holds numbers in one and texts in another.
    """
    merged: dict[str, str] = {}
    first_file = ""
    for file, kinds in kinds_by_file:
        if not merged:
            merged, first_file = dict(kinds), file
            continue
        missing = sorted(merged.keys() - kinds.keys())
        if missing:
            raise BadInput(
                f"column {missing[0]!r} is in {first_file} but not in {file}: all files need the same columns"
            )
        for name in merged:
            merged[name] = _both(name, merged[name], kinds[name], file)
    return merged


def _both(name: str, one: str, other: str, file: str) -> str:
    if one == other or other == "empty":
        return one
    if one == "empty":
        return other
    if {one, other} == {"number", "boolean"}:
        return "number"
    for single, several in (("number", "vector"), ("text", "texts")):
        if {one, other} == {single, several}:  # a TFRecord file does not tell a list of one value from a value
            return several
    raise BadInput(f"column {name!r} has mixed types: it holds {other}s in {file} and {one}s before; make them alike")


def fits(column: Column, settled: str, found: str) -> bool:
    """Return whether a file may hold `found` in a column that held `settled` in those that were inspected."""
    # A label of true and false is a text, but no other text goes with it.
    accepted = {settled} if settled == "boolean" and column.kind == "text" else _ACCEPTED[column.kind]
    return found in (*accepted, "empty")


def mixed_types(column: Column, settled: str, found: str, *, where: str, value: str) -> BadInput:
    """Return what to say of a file that does not fit: `where` is the first row that does not, `value` stands in it."""
    return BadInput(
        f"column {column.name!r} has mixed types: {where} holds {_ENTRY.get(found, found)} ({value}), where "
        f"{_ENTRY[settled]} was before; make them alike"
    )


def choose(
    kinds: Mapping[str, str],
    *,
    label: str,
    wanted: Sequence[str] | None,
    where: str,
    validation: str | None = None,
    slices: Sequence[str] = (),
    several_labels: bool = False,
) -> Schema:
    """Return the label and the features. The length of vectors is not known yet.

    Raises:
        BadInput: one of them is not a column, or there is no feature left.
    """
    named = [("data.label", label), *(("data.features", each) for each in wanted or ())]
    named += [("data.validation.column", validation)] if validation else []
    for field, each in [*named, *(("data.slices", each) for each in slices)]:
        if each not in kinds:
            raise BadInput(_no_such_column(field, each, kinds, where))
    for each in slices:
        if kinds[each] not in ("number", "boolean", "empty", "text"):
            raise BadInput(
                f"data.slices names {each!r}, which holds {_described(kinds[each])}: expected a column of texts or "
                "numbers"
            )
    if wanted is not None and label in wanted:
        raise BadInput(f"data.features lists the label {label!r} itself: take it out, or the model would only copy it")
    if wanted is not None and validation in wanted:
        raise BadInput(
            f"data.features lists {validation!r}, which data.validation.column says chooses the validation rows: take "
            "it out"
        )
    features = dict.fromkeys(
        wanted if wanted is not None else (name for name in kinds if name not in (label, validation))
    )
    if not features:
        raise BadInput(f"{where} has no column beside the label {label!r}: there is nothing to predict it from")
    for name in features:
        if kinds[name] not in _KINDS:
            moment = kinds[name].startswith(("timestamp", "date", "time", "duration"))
            convert = "derive what matters of it, such as the hour or the age in days" if moment else "convert it"
            raise BadInput(
                f"column {name!r} holds {_described(kinds[name])}: expected numbers, true and false, texts, or lists "
                f"of numbers; {convert}, or leave it out by listing the other columns in data.features"
            )
    return Schema(
        label=Column(label, _label_kind(label, kinds[label], several=several_labels)),
        features=tuple(Column(name, _KINDS[kinds[name]]) for name in features),
        validation=validation,
        slices=tuple(slices),
    )


def _label_kind(label: str, kind: str, *, several: bool) -> Kind:
    if several:
        if kind not in ("text", "texts", "empty"):
            raise BadInput(
                f"the label {label!r} holds {_described(kind)}: task multilabelClassification expects a list of texts "
                "a row, or one text with data.labelSeparator between its labels"
            )
        return "texts"
    if kind == "texts":
        raise BadInput(
            f"the label {label!r} holds a list of texts in each row: use task multilabelClassification, or name "
            "another column in data.label"
        )
    if kind not in ("number", "boolean", "empty", "text"):
        raise BadInput(f"the label {label!r} holds {_described(kind)}: expected texts or numbers; name another column")
    return "text" if kind in ("text", "boolean") else "number"


def _described(kind: str) -> str:
    return {"texts": "a list of texts", "vector": "a list of numbers"}.get(kind, kind)


def _no_such_column(field: str, name: str, kinds: Mapping[str, str], where: str) -> str:
    near = did_you_mean(name, kinds)
    header = ""
    if sum(is_number(each) for each in kinds) * 2 > len(kinds):
        header = "; its first line looks like data: the first line must hold the names of the columns"
    return f"{field} is {name!r}, which is not a column of {where}{near}{header} (columns: {listed(kinds)})"


def is_number(text: str) -> bool:
    """Return whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
