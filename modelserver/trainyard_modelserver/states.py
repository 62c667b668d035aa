"""What became of every version the server has ever known. Nothing is forgotten while the process lives."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from .errors import Code, ServingError


class State(IntEnum):
    """ModelVersionStatus.State by its published numbers."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, slots=True)
class VersionState:
    """The last that was heard of one version; the error tells why a load ended."""

    state: State
    error: ServingError | None = None
    order: int = 0
    """Counts the changes of all versions, so that old news can be told from new."""


class StateMonitor:
    """Keeps the states, for status calls and for whoever waits for models to become available."""

    def __init__(self) -> None:
        self._states: dict[str, dict[int, VersionState]] = {}
        self._order = 0
        self._changed = threading.Condition()

    @property
    def order(self) -> int:
        """The number of the last change."""
        return self._order

    def publish(self, name: str, version: int, state: State, error: ServingError | None = None) -> None:
        """Note a change of state."""
        with self._changed:
            self._order += 1
            self._states.setdefault(name, {})[version] = VersionState(state, error, self._order)
            self._changed.notify_all()

    def versions(self, name: str) -> Mapping[int, VersionState]:
        """Every known version of a model, empty where there is none."""
        with self._changed:
            return dict(self._states.get(name, {}))

    def wait_until_available(self, names: Iterable[str], after: int = 0) -> None:
        """Return when each model has an available version by changes `after` that one, however long that takes.

        Raises ServingError (UNKNOWN) when each has an available or an ended version and some only the latter.
        """
        reached: dict[tuple[str, int], VersionState] = {}
        with self._changed:
            for name in names:
                self._changed.wait_for(lambda name=name: self._reached(name, after))  # type: ignore[misc]
            for name in names:
                reached |= self._reached(name, after)
        failed = {id_: known for id_, known in reached.items() if known.state is not State.AVAILABLE}
        if failed:
            listed = "".join(f"{{{servable_id(*id_)}{_due_to(known)}}}, " for id_, known in failed.items())
            raise ServingError(Code.UNKNOWN, f"{len(failed)} servable(s) did not become available: {{{listed}}}")

    def _reached(self, name: str, after: int) -> dict[tuple[str, int], VersionState]:
        """The highest available version, else the highest that ended, else nothing."""
        news = {version: known for version, known in self._states.get(name, {}).items() if known.order > after}
        for state in (State.AVAILABLE, State.END):
            versions = [version for version, known in news.items() if known.state is state]
            if versions:
                return {(name, max(versions)): news[max(versions)]}
        return {}


def servable_id(name: str, version: int) -> str:
    """A version as TensorFlow Serving names it in messages."""
    return f"{{name: {name} version: {version}}}"


def _due_to(state: VersionState) -> str:
    return f" due to error: {state.error}" if state.error else ""
