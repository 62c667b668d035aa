"""Looks at a table: what each column is taken for, and which columns a model could only learn nonsense from."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from trainyard.errors import Usage
from trainyard.tables import Cell, Table
from trainyard_api.suggestions import did_you_mean, listed

Kind = Literal["number", "category", "text", "boolean", "date"]
Task = Literal["binaryClassification", "multiclassClassification", "regression"]

MOST_CATEGORIES = 10_000
"""As many as the trainer learns of a column."""
MOST_ROWS = 200_000
"""How many rows are looked at; the trainer itself looks at all of them."""
_FEW_CLASSES = 10
_FEW_ROWS = 20
_WORDS_OF_A_TEXT = 4.0
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d{2}.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( \d{1,2}:\d{2}.*)?"
)
_READ_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}\.\d{1,2}\.\d{4}.*")
"""The notations that the trainer reads."""
_UNNAMED = re.compile(r"|Unnamed: \d+|index|level_0")
_ID = re.compile(r"(?i)(^|[_\W])(id|uuid|guid|key|rowid|row_?num(ber)?|no|nr)$|(?-i:[a-z](Id|ID))$")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds, and why it is left out, if it is."""

    name: str
    kind: Kind
    missing: int
    distinct: int
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """The column to predict."""

    name: str
    task: Task
    missing: int
    classes: tuple[tuple[str, int], ...] = ()
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None

    @property
    def guess(self) -> float | None:
        """The accuracy of always saying the most frequent class; None where numbers are predicted."""
        total = sum(count for _, count in self.classes)
        return self.classes[0][1] / total if total else None


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to say of a table before a model is trained on it."""

    name: str
    rows: int
    label: Label
    columns: tuple[Column, ...] = ()
    whole: bool = True

    @property
    def features(self) -> list[str]:
        """The names of the columns to learn from."""
        return [column.name for column in self.columns if column.left_out is None]

    @property
    def left_out(self) -> list[Column]:
        """The columns that are not learnt from."""
        return [column for column in self.columns if column.left_out is not None]

    @property
    def is_text(self) -> bool:
        """Whether the one feature is a column of written texts."""
        kinds = [column.kind for column in self.columns if column.left_out is None]
        return kinds == ["text"]


@dataclass(slots=True)
class _Tally:
    """What is counted of one column while the rows go by."""

    missing: int = 0
    numbers: int = 0
    booleans: int = 0
    dates: int = 0
    read_dates: int = 0
    words: int = 0
    texts: int = 0
    first_text: str = ""
    first_text_row: int = 0
    values: Counter[Cell] = field(default_factory=Counter)
    many: bool = False
    total: float = 0.0
    squares: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    whole: bool = True
    rising: bool = True
    last: float | None = None

    def add(self, value: Cell, row: int) -> None:
        if value is None:
            self.missing += 1
            return
        if not self.many:
            self.values[value] += 1
            self.many = len(self.values) > 200_000
        if isinstance(value, bool):
            self.booleans += 1
        elif isinstance(value, float):
            self._add_number(value)
        else:
            self._add_text(value, row)

    def _add_number(self, value: float) -> None:
        self.numbers += 1
        self.total += value
        self.squares += value * value
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.whole = self.whole and value == int(value) if abs(value) < 1e300 else False
        self.rising = self.rising and (self.last is None or value == self.last + 1)
        self.last = value

    def _add_text(self, value: str, row: int) -> None:
        if not self.texts:
            self.first_text, self.first_text_row = value, row
        self.texts += 1
        self.words += len(value.split())
        self.dates += bool(_DATE.fullmatch(value))
        self.read_dates += bool(_READ_DATE.fullmatch(value))

    @property
    def present(self) -> int:
        return self.numbers + self.booleans + self.texts


def look_at(
    table: Table, label: str, *, task: Task | None = None, keep: Sequence[str] = (), drop: Sequence[str] = ()
) -> Look:
    """Return what a table holds, with a label to predict.

    Args:
        table: The table, which is read once.
        label: The column to predict.
        task: What to predict; found out where absent.
        keep: Columns to learn from even if they look useless.
        drop: Columns to leave out.

    Raises:
        Usage: no such column, no rows, or a label that nothing can be learnt of.
    """
    for name in (label, *keep, *drop):
        if name not in table.columns:
            names = listed((each or "(unnamed)" for each in table.columns), 12)
            raise Usage(f"{table.name} has no column {name!r}{did_you_mean(name, table.columns)} (columns: {names})")
    if label in drop:
        raise Usage(f"the label {label!r} cannot be dropped")
    rows, tallies, whole = _counted(table)
    if not rows:
        raise Usage(f"{table.name} has no rows below its first line: there is nothing to learn from")
    columns = tuple(
        _column(name, tallies[name], rows, kept=name in keep, dropped=name in drop)
        for name in table.columns
        if name != label
    )
    found = Look(table.name, rows, _label(label, tallies[label], rows, task), _only_text(columns), whole)
    if not found.features:
        reasons = "; ".join(f"{column.name or '(unnamed)'}: {column.left_out}" for column in found.left_out)
        raise Usage(f"{table.name} has no column to learn from ({reasons or 'the label is the only one'})")
    return found


def _counted(table: Table) -> tuple[int, dict[str, _Tally], bool]:
    """Return the number of rows, what was counted of each column, and whether those were all rows."""
    tallies = {name: _Tally() for name in table.columns}
    rows, every = 0, table.rows()
    for row in islice(every, MOST_ROWS):
        rows += 1
        for name, tally in tallies.items():
            tally.add(row.get(name), rows)
    return rows, tallies, next(every, None) is None


def _column(name: str, tally: _Tally, rows: int, *, kept: bool, dropped: bool) -> Column:
    reason = "you dropped it" if dropped else next(_reasons(name, tally, rows), None)
    if kept and name:
        reason = None
    return Column(name, _kind(tally), tally.missing, len(tally.values), reason)


def _kind(tally: _Tally) -> Kind:
    if tally.texts and tally.dates == tally.read_dates == tally.present:
        return "date"
    if tally.texts:
        is_text = tally.words / tally.texts >= _WORDS_OF_A_TEXT and len(tally.values) > tally.texts / 2
        return "text" if is_text else "category"
    return "boolean" if tally.booleans and not tally.numbers else "number"


def _reasons(name: str, tally: _Tally, rows: int) -> Iterator[str]:
    """Yield why a column is of no use to a model, the plainest reason first."""
    counted = tally.rising and tally.numbers == rows and rows > 2
    if not tally.present:
        yield "it is empty"
    if (_UNNAMED.fullmatch(name) and counted) or not name:
        yield "an index: it numbers the rows"
    if counted and tally.low in (0.0, 1.0):
        yield "it numbers the rows"
    if len(tally.values) == 1 and rows > 1 and not tally.missing:
        yield f"every row has {_shown(next(iter(tally.values)))}"
    if tally.texts and tally.dates > 0.9 * tally.texts and not tally.numbers:
        yield "it holds dates" if _kind(tally) == "date" else "dates that are not read: write them like 2026-01-31"
    if tally.texts and tally.numbers + tally.booleans:
        share = "numbers, but also" if tally.numbers >= tally.texts else "texts and numbers, such as"
        yield f"{share} {tally.first_text[:20]!r} in row {tally.first_text_row}: clean it"
    unique = len(tally.values) > 0.95 * tally.present and tally.present > _FEW_ROWS
    if unique and _ID.search(name) and (tally.whole or tally.texts):
        yield "an id: another value in each row"
    if unique and tally.texts and _kind(tally) == "category":
        yield "another text in each row, as ids or names are"
    if tally.texts and _kind(tally) == "category" and len(tally.values) > MOST_CATEGORIES:
        yield f"more than {MOST_CATEGORIES:,} different texts: use data.hashing to learn from it"


def _only_text(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """A written text is learnt from where it is the only feature; beside others it is left out."""
    used = [column for column in columns if column.left_out is None]
    texts = [column for column in used if column.kind == "text"]
    if not texts or len(used) == 1:
        return columns
    why = "written text beside other columns: to learn from it alone, drop the others"
    return tuple(
        Column(each.name, each.kind, each.missing, each.distinct, why) if each in texts else each for each in columns
    )


def _label(name: str, tally: _Tally, rows: int, task: Task | None) -> Label:
    if not tally.present:
        raise Usage(f"the label {name!r} is missing in every row: name another column with --label")
    if len(tally.values) == 1:
        value = _shown(next(iter(tally.values)))
        raise Usage(f"the label {name!r} is {value} in every row: there is nothing to tell apart")
    chosen = task or _task(tally)
    if chosen == "regression":
        if tally.texts or tally.booleans:
            raise Usage(
                f"task regression expects numbers, but {name!r} holds {tally.first_text or 'true and false'!r}: "
                "use --task multiclassClassification, or clean the column"
            )
        mean = tally.total / tally.numbers
        deviation = max(0.0, tally.squares / tally.numbers - mean * mean) ** 0.5
        return Label(name, chosen, tally.missing, (), tally.low, tally.high, mean, deviation)
    if chosen == "binaryClassification" and len(tally.values) > 2:
        raise Usage(
            f"task binaryClassification expects two classes, but {name!r} has {len(tally.values)} "
            f"({listed(map(_shown, tally.values), 4)}): use --task multiclassClassification, or name another column"
        )
    if len(tally.values) > tally.present / 2:
        raise Usage(
            f"the label {name!r} has {len(tally.values)} different values in {rows} rows: that is no class; "
            "name another column with --label"
        )
    return Label(
        name, chosen, tally.missing, tuple((_shown(value), count) for value, count in tally.values.most_common())
    )


def _task(tally: _Tally) -> Task:
    distinct = len(tally.values)
    if distinct == 2:
        return "binaryClassification"
    few = distinct <= _FEW_CLASSES and tally.present >= 5 * distinct
    if tally.texts or (tally.whole and tally.low >= 0 and tally.high < 100 and few):
        return "multiclassClassification"
    return "regression"


def _shown(value: Cell) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def summary(columns: Iterable[Column], kind: Kind) -> list[str]:
    """Return the columns of a kind as a person reads them, with how many values or gaps they have."""
    return [_described(column) for column in columns if column.kind == kind and column.left_out is None]


def _described(column: Column) -> str:
    facts = [str(column.distinct)] if column.kind == "category" else []
    facts += [f"{column.missing} missing"] if column.missing else []
    return f"{column.name} ({', '.join(facts)})" if facts else column.name
