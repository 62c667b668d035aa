"""Trainings side by side: the settings that differ, and how well they did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.job import Job

_NOT_COMPARED = ("modelName", "runPolicy", "output")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column for each training, one row for each setting that differs and for each metric."""

    names: tuple[str, ...]
    settings: Mapping[str, tuple[Any, ...]]
    metrics: Mapping[str, tuple[float | None, ...]]
    states: tuple[str, ...]

    def to_frame(self) -> Any:
        """Return a DataFrame with a row for each training; a list of dictionaries without pandas."""
        rows = [
            {"name": name, "state": self.states[index]}
            | {setting: values[index] for setting, values in self.settings.items()}
            | {metric: values[index] for metric, values in self.metrics.items()}
            for index, name in enumerate(self.names)
        ]
        try:
            import pandas
        except ImportError:
            return rows
        return pandas.DataFrame(rows).set_index("name")


def compare(jobs: Sequence[Job]) -> Comparison:
    """Return what differs between trainings, and their metrics."""
    specs = [dict(_flat(job.resource.spec.to_wire())) for job in jobs]
    paths = list(dict.fromkeys(path for spec in specs for path in spec))
    columns = {path: tuple(spec.get(path) for spec in specs) for path in paths}
    differing = {path: values for path, values in columns.items() if any(value != values[0] for value in values)}
    found = [job.metrics for job in jobs]
    metrics = {
        name: tuple(each.get(name) for each in found) for name in dict.fromkeys(n for each in found for n in each)
    }
    return Comparison(tuple(job.name for job in jobs), differing, metrics, tuple(job.phase for job in jobs))


def _flat(fields: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if not path and name in _NOT_COMPARED:
            continue
        where = f"{path}.{name}" if path else name
        if isinstance(value, Mapping) and value:
            yield from _flat(value, where)
        else:
            yield where, value
