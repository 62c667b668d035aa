"""Which columns a table has, what each holds, and which of them are the label and the features."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from trainyard_trainer.data import moments
from trainyard_trainer.data.numerals import PLAIN, Notation, looks_like_number
from trainyard_trainer.data.reading import Reading
from trainyard_trainer.data.vectors import is_vector
from trainyard_trainer.errors import BadInput, did_you_mean, listed

Kind = Literal["number", "vector", "text", "texts", "bytes", "array", "date", "words"]
_KINDS: dict[str, Kind] = {
    "number": "number", "boolean": "number", "empty": "number", "vector": "vector", "text": "text", "bytes": "bytes",
    "array": "array",
}  # fmt: skip

_ACCEPTED: dict[Kind, tuple[str, ...]] = {
    "number": ("number", "boolean"), "vector": ("vector",), "text": ("text",), "texts": ("text", "texts"),
    "bytes": ("bytes",), "date": ("text",), "words": ("text",),
}  # fmt: skip
_DECLARED: dict[str, Kind] = {"number": "number", "category": "text", "date": "date", "text": "words"}
_DECLARABLE = ("number", "boolean", "text", "empty")

_INDEX_NAMES = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?")
"""As pandas calls the index of a frame in Parquet, and a column without a name that it has read from a CSV file."""

_ENTRY = {
    "number": "a number", "boolean": "true or false", "empty": "a number", "vector": "a list of numbers",
    "text": "a text", "texts": "a list of texts", "bytes": "bytes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column that training uses.

    Booleans and integers are numbers; a vector is a list of as many numbers in every row; texts are categories, or what
    a family reads; bytes are files such as images. A row of an array, or of vectors, has the given shape and type. Only
    a label may be a list of texts. A date becomes several numbers, and words are a text that is a feature beside
    others. `notation` tells how numbers are written that are texts in the file. The spec has `declared` what it is.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...] = ()
    dtype: str = ""
    notation: Notation = PLAIN
    declared: bool = False

    @property
    def width(self) -> int:
        """How many numbers it is, where it is some."""
        return len(moments.PARTS) if self.kind == "date" else (self.shape or (1,))[0]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that is no feature, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The label and the features, in the order of the spec or else of the table."""

    label: Column
    features: tuple[Column, ...]
    validation: str | None = None
    """The column that chooses the validation rows."""
    slices: tuple[str, ...] = ()
    """The columns by whose values the metrics are told."""
    left_out: tuple[LeftOut, ...] = ()
    """The columns that are no features though nobody said so."""
    missing: tuple[str, ...] = ("",)
    """The texts that stand for a missing value."""
    weight: Column | None = None
    """The column that says how much each row counts."""

    @property
    def dense(self) -> tuple[Column, ...]:
        """The features that are numbers, vectors or dates."""
        return tuple(column for column in self.features if column.kind in ("number", "vector", "date"))

    @property
    def identities(self) -> tuple[str, ...]:
        """The columns whose texts count as they are in a file: they tell classes and groups apart."""
        label = (self.label.name,) if self.label.kind in ("text", "texts") else ()
        validation = (self.validation,) if self.validation else ()
        texts = [column.name for column in self.features if column.kind in ("text", "words", "date")]
        return tuple(dict.fromkeys((*label, *validation, *self.slices, *texts)))

    @property
    def words(self) -> tuple[str, ...]:
        """Names of the features that are texts of words, beside others."""
        return tuple(column.name for column in self.features if column.kind == "words")

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
        weight = [self.weight.name] if self.weight else []
        chooser = [self.validation] if self.validation else []
        return tuple(dict.fromkeys([*features, self.label.name, *chooser, *self.slices, *weight]))


def _numbers_of(column: Column) -> list[str]:
    if column.kind == "date":
        return [f"{column.name}.{part}" for part in moments.PARTS]
    return [f"{column.name}[{i}]" for i in range(column.shape[0])] if column.shape else [column.name]


def kind_of(type_: pa.DataType) -> str:
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
    if pa.types.is_struct(type_) and {field.name: field.type for field in type_}.get("bytes") in (
        pa.binary(),
        pa.large_binary(),
    ):
        return "bytes"  # as Hugging Face datasets writes images and sounds: struct<bytes, path>
    if is_vector(type_):
        return "vector"
    if (pa.types.is_list(type_) or pa.types.is_large_list(type_)) and kind_of(type_.value_type) == "text":
        return "texts"
    return str(type_)


def merge(
    kinds_by_file: Iterable[tuple[str, Mapping[str, str]]], free: Collection[str] = frozenset()
) -> dict[str, str]:
    """Return what each column holds in all files together; those in `free` may be numbers here and texts there.

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
            merged[name] = _both(name, merged[name], kinds[name], file=file, free=name in free)
    return merged


def _both(name: str, one: str, other: str, *, file: str, free: bool) -> str:
    if one == other or other == "empty":
        return one
    if one == "empty":
        return other
    if {one, other} == {"number", "boolean"}:
        return "number"
    for single, several in (("number", "vector"), ("text", "texts")):
        if {one, other} == {single, several}:  # a TFRecord file does not tell a list of one value from a value
            return several
    if free and {one, other} <= {"number", "boolean", "text"}:
        return "text"
    raise BadInput(f"column {name!r} has mixed types: it holds {other}s in {file} and {one}s before; make them alike")


def fits(column: Column, settled: str, found: str) -> bool:
    """Return whether a file may hold `found` in a column that held `settled` in those that were inspected."""
    if column.kind in ("text", "words", "date") or settled == "text":
        accepted: tuple[str, ...] = (settled,)  # numbers told apart by their texts, and numbers written as texts
    else:
        accepted = _ACCEPTED[column.kind]
    return found in (*accepted, "empty")


def mixed_types(column: Column, settled: str, found: str, *, where: str, value: str) -> BadInput:
    """Return what to say of a file that does not fit: `where` is the first row that does not, `value` stands in it."""
    return BadInput(
        f"column {column.name!r} has mixed types: {where} holds {_ENTRY.get(found, found)} ({value}), where "
        f"{_ENTRY[settled]} was before; make them alike"
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What the files of a table are found to have: `kinds` of columns, by name in order.

    `unnamed` and `index` are columns without a name and those that hold the index of a pandas frame. `headless` tells
    that the first line of a file looks like a row, `advice` what else may be wrong with it.
    """

    kinds: Mapping[str, str]
    where: str
    unnamed: Collection[str] = frozenset()
    index: Collection[str] = frozenset()
    headless: bool = False
    advice: str = ""


def choose(found: Found, reading: Reading, *, label: str, wanted: Sequence[str] | None) -> Schema:
    """Return the label and the features. The length of vectors is not known yet.

    Raises:
        BadInput: one of them is not a column, or there is no feature left.
    """
    kinds, (field, validation) = found.kinds, reading.chooser or ("", None)
    _check_names(found, reading, label=label, wanted=wanted)
    if wanted is not None and label in wanted:
        raise BadInput(f"data.features lists the label {label!r} itself: take it out, or the model would only copy it")
    if wanted is not None and validation in wanted:
        raise BadInput(
            f"data.features lists {validation!r}, which {field} says chooses the validation rows: take it out"
        )
    if wanted is not None and reading.weight in wanted:
        raise BadInput(f"data.features lists {reading.weight!r}, which data.weight names: take it out of one of them")
    left_out = [] if wanted is not None else _left_out(found, reading, label)
    gone = {column.name for column in left_out}
    others = [name for name in kinds if name not in (label, validation, reading.weight) and name not in gone]
    features = dict.fromkeys(wanted if wanted is not None else others)
    if not features:
        without = f" (left out: {listed(f'{one.name!r}, {one.why}' for one in left_out)})" if left_out else ""
        raise BadInput(
            f"{found.where} has no column beside the label {label!r}: there is nothing to predict it from{without}"
        )
    return Schema(
        label=Column(label, _label_kind(label, kinds[label], reading)),
        features=tuple(
            Column(name, _feature_kind(name, kinds[name], reading), declared=name in reading.columns)
            for name in features
        ),
        validation=validation,
        slices=tuple(reading.slices),
        left_out=tuple(left_out),
        weight=Column(reading.weight, "number", declared=True) if reading.weight else None,
    )


def _check_names(found: Found, reading: Reading, *, label: str, wanted: Sequence[str] | None) -> None:
    kinds = found.kinds
    named = [("data.label", label), *(("data.features", name) for name in wanted or ())]
    named += [reading.chooser] if reading.chooser else []
    named += [("data.weight", reading.weight)] if reading.weight else []
    named += [("data.slices", name) for name in reading.slices]
    named += [("data.exclude", name) for name in reading.exclude]
    named += [("data.columns", name) for name in reading.columns]
    for field, name in named:
        if name not in kinds:
            raise BadInput(_no_such_column(field, name, found))
    for name in reading.slices:
        if kinds[name] not in ("number", "boolean", "empty", "text"):
            raise BadInput(
                f"data.slices names {name!r}, which holds {_described(kinds[name])}: expected a column of texts or "
                "numbers"
            )
    if reading.weight and not _may_be_numbers(reading.weight, kinds[reading.weight], reading):
        raise BadInput(
            f"data.weight names {reading.weight!r}, which holds {_described(kinds[reading.weight])}: expected a column "
            "of numbers; correct it, or say number in data.columns, so that rows where it is none are bad rows"
        )
    if reading.split and not (
        kinds[reading.split.column] in _DECLARABLE or moments.is_moment_kind(kinds[reading.split.column])
    ):
        field, name = reading.chooser or ("", "")
        raise BadInput(
            f"{field} names {name!r}, which holds {_described(kinds[name])}: name a column of texts, numbers or dates"
        )
    for name, declared in reading.columns.items():
        fine = kinds[name] in _DECLARABLE or (declared == "date" and moments.is_moment_kind(kinds[name]))
        if not fine or (declared == "text" and kinds[name] not in ("text", "empty")):
            raise BadInput(
                f"data.columns says that {name!r} is a {declared}, but it holds {_described(kinds[name])}: leave it out"
            )


def _may_be_numbers(name: str, kind: str, reading: Reading) -> bool:
    return kind in ("number", "boolean", "empty") or (kind == "text" and reading.columns.get(name) == "number")


def _left_out(found: Found, reading: Reading, label: str) -> list[LeftOut]:
    """Return the columns that are no features by what they are called, or because the spec says so."""

    def why(name: str) -> str | None:
        if name in reading.exclude:
            return "data.exclude names it"
        if name in reading.columns or name in (label, reading.weight, reading.chooser and reading.chooser[1]):
            return None
        if name in found.unnamed or not name.strip():
            return "it has no name, as the row numbers have that R and pandas write"
        if name in found.index or _INDEX_NAMES.fullmatch(name):
            return "it is the index of a pandas frame"
        if moments.is_moment_kind(found.kinds[name]):
            return "it holds dates or times: to use it, say date in data.columns"
        return None

    return [LeftOut(name, reason) for name in found.kinds if (reason := why(name))]


def _feature_kind(name: str, kind: str, reading: Reading) -> Kind:
    if name in reading.columns:
        return _DECLARED[reading.columns[name]]
    if kind not in _KINDS:
        convert = "write it as a number, such as seconds" if kind.startswith(("time", "duration")) else "convert it"
        if moments.is_moment_kind(kind):
            convert = "say date in data.columns, or derive what matters of it"
        raise BadInput(
            f"column {name!r} holds {_described(kind)}: expected numbers, true and false, texts, or lists of numbers; "
            f"{convert}, or leave it out with data.exclude"
        )
    return _KINDS[kind]


def _label_kind(label: str, kind: str, reading: Reading) -> Kind:
    if reading.label_as == "sets" or reading.label_separator is not None:
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
    if reading.label_as == "class" or reading.columns.get(label) == "category":
        return "text"
    if reading.label_as == "number" and (kind == "boolean" or reading.columns.get(label) == "number"):
        return "number"
    return "text" if kind in ("text", "boolean") else "number"


def _described(kind: str) -> str:
    return {"texts": "a list of texts", "vector": "a list of numbers"}.get(kind, kind)


def _no_such_column(field: str, name: str, found: Found) -> str:
    near = did_you_mean(name, found.kinds)
    names = [f"(no name, {each})" if each in found.unnamed else each for each in found.kinds]
    headless = found.headless or any(looks_like_number(each) for each in found.kinds)
    header = f"; {header_advice()}" if headless and not found.advice else f"; {found.advice}" if found.advice else ""
    return f"{field} is {name!r}, which is not a column of {found.where}{near}{header} (columns: {listed(names)})"


def header_advice() -> str:
    """Return what to do about a file without a header."""
    return (
        "its first line looks like data: the first line must hold the names of the columns; write them there, or name "
        "them in data.csv.names"
    )
