"""The trials of a search as they stand, kept in one file so that a search goes on where it was interrupted."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from trainyard_trainer.files import write_atomically

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One choice of settings and what came of it: the objective after each epoch, `values`, and at the end, `value`."""

    number: int
    choice: Mapping[str, str | float]
    state: State = "running"
    value: float | None = None
    values: tuple[float, ...] = ()
    message: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state != "running"


@dataclass(slots=True)
class Trials:
    """All trials so far, by number, in a file that is replaced whenever one changes."""

    path: Path
    _by_number: dict[int, Trial] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Trials":
        """Return what an earlier run of the same search has left in a file, or none."""
        trials = cls(path)
        if path.exists():
            for stored in json.loads(path.read_text(encoding="utf-8")):
                trials._by_number[stored["number"]] = Trial(**(stored | {"values": tuple(stored["values"])}))
        return trials

    def __iter__(self) -> Iterator[Trial]:
        return iter(list(self._by_number.values()))

    def __getitem__(self, number: int) -> Trial:
        return self._by_number[number]

    def __len__(self) -> int:
        return len(self._by_number)

    def put(self, trial: Trial) -> Trial:
        """Add or replace a trial."""
        self._by_number[trial.number] = trial
        content = json.dumps([asdict(trial) for trial in self], indent=1).encode()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, lambda stream: stream.write(content))
        return trial

    def end(self, number: int, state: State, *, value: float | None = None, message: str = "") -> Trial:
        """Note how a trial ended."""
        return self.put(replace(self._by_number[number], state=state, value=value, message=message))

    def reached(self, number: int, values: tuple[float, ...]) -> Trial:
        """Note the objective after each epoch so far."""
        return self.put(replace(self._by_number[number], values=values))

    def best_first(self, *, higher: bool) -> list[Trial]:
        """Return the complete trials, the best one first; of equals the earlier one."""
        complete = [(trial.value, trial) for trial in self if trial.state == "complete" and trial.value is not None]
        return [trial for _, trial in sorted(complete, key=lambda pair: -pair[0] if higher else pair[0])]

    def write_table(self, path: Path, parameters: list[str], metric: str) -> None:
        """Write all trials as a CSV file: one row each, one column for each parameter."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["trial", "state", metric, "epochs", *parameters, "message"])
        for trial in self:
            shown = "" if trial.value is None else f"{trial.value:.6g}"
            choice = [trial.choice[name] for name in parameters]
            writer.writerow([trial.number, trial.state, shown, len(trial.values), *choice, trial.message])
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda stream: stream.write(text.getvalue().encode()))
