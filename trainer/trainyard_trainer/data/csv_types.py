"""What the columns of a CSV file hold, by the texts in its beginning."""

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from trainyard_api.data import CsvFormat
from trainyard_trainer.data.csv_dialect import Dialect, shown
from trainyard_trainer.data.numerals import PLAIN, Notation, alike, looks_like_number, notations
from trainyard_trainer.errors import BadInput

_COMPARED_TEXTS = 10_000
_THOUSANDS_POINT = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+")
_BOOLEANS = ("true", "false")


class CsvTypes:
    """Decides the types of columns file by file. `notations` are how numbers are written, where not as in programs."""

    def __init__(self, settings: CsvFormat, missing: frozenset[str], *, tolerant: bool) -> None:
        self._settings, self._missing, self._tolerant = settings, pa.array(sorted(missing)), tolerant
        self.notations: dict[str, Notation] = {}
        self.ambiguous: dict[str, str] = {}
        """Columns whose numbers can be read in two ways, each with an example."""

    def of(self, file: str, dialect: Dialect, batch: pa.RecordBatch) -> Mapping[str, pa.DataType]:
        """Return the Arrow type of each column; numbers are float64 in whatever notation."""
        types: dict[str, pa.DataType] = {}
        open_: dict[str, tuple[list[str], list[Notation]]] = {}
        plain: dict[str, list[str]] = {}
        for name in dialect.names:
            texts = self._texts(batch.column(name)) if batch is not None else []
            types[name] = _simple_type(texts)
            if types[name] == pa.float64():
                plain[name] = texts
            elif types[name] == pa.string():
                numeric = [text for text in texts if looks_like_number(text)]
                enough = len(numeric) == len(texts) or (self._tolerant and 2 * len(numeric) > len(texts))
                if enough and _simple_type(numeric) == pa.float64():
                    types[name], plain[name] = pa.float64(), numeric
                elif enough and (found := self._fitting(numeric)):
                    open_[name] = numeric, found
        decimal = self._settings.decimal or _decimal(dialect, [found for _, found in open_.values()])
        for name, (texts, found) in open_.items():
            types[name] = pa.float64()
            self._settle(file, name, texts, found, decimal)
        if decimal == ",":
            for name, texts in plain.items():
                if any("." in text for text in texts) and all(
                    _THOUSANDS_POINT.fullmatch(text) for text in texts if "." in text
                ):
                    self._remember(file, name, Notation(",", "."))
        return types

    def _texts(self, column: pa.Array) -> list[str]:
        """Return the different texts of a column that are no missing values."""
        trimmed = pc.unique(pc.utf8_trim_whitespace(column))[:_COMPARED_TEXTS]
        there = pc.invert(pc.is_in(trimmed, self._missing))
        return [shown(text) for text in trimmed.filter(there).to_pylist() if text]

    def _fitting(self, texts: Sequence[str]) -> list[Notation]:
        """Return the notations that fit all texts and the settings."""
        wanted = self._settings
        return [
            each
            for each in notations(texts)
            if (wanted.decimal is None or each.decimal == wanted.decimal)
            and (wanted.thousands is None or each.thousands in ("", wanted.thousands))
        ]

    def _settle(self, file: str, name: str, texts: Sequence[str], found: list[Notation], decimal: str | None) -> None:
        if self._settings.thousands:
            found = [each for each in found if each.thousands == self._settings.thousands] or found
        if not alike(texts, found):
            likely = [each for each in found if each.decimal == decimal]
            if not likely:
                self.ambiguous.setdefault(name, texts[0])
            found = likely or found
        self._remember(file, name, found[0])

    def _remember(self, file: str, name: str, notation: Notation) -> None:
        if notation == PLAIN:
            notation = Notation(accounting=True)  # or it would be numbers without any doing
        before = self.notations.setdefault(name, notation)
        if before != notation:
            raise BadInput(
                f"column {name!r} has numbers in two notations: with {before} in the files before, and with {notation} "
                f"in {file}; make them alike, or set data.csv.decimal and data.csv.thousands"
            )


def _simple_type(texts: Sequence[str]) -> pa.DataType:
    if not texts:
        return pa.null()
    if all(text.lower() in _BOOLEANS for text in texts):
        return pa.bool_()
    try:
        return pc.cast(pa.array(texts, pa.string()), pa.float64()).type
    except pa.ArrowInvalid:
        return pa.string()


def _decimal(dialect: Dialect, columns: Sequence[Sequence[Notation]]) -> str | None:
    """Return the decimal sign of a file, by the columns that leave no doubt, or else by the delimiter."""
    sure = {found[0].decimal for found in columns if len({each.decimal for each in found}) == 1}
    if len(sure) == 1:
        return sure.pop()
    return "." if dialect.delimiter == "," and not sure else None
