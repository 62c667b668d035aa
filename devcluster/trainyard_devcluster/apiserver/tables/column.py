"""One column of a table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from trainyard_devcluster.apiserver.values import Json, Object

Cell = Callable[[Object, datetime], Json]


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head, and the function that fills a cell from an object and the time."""

    name: str
    cell: Cell
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0
    """Above 0: only shown by `-o wide`."""

    @property
    def head(self) -> Object:
        """The column's definition in a Table."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }
