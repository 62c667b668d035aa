"""The next step of one model towards its aspired versions: a pure policy.

Availability comes first: the new version is loaded before the old one goes, and where the new one fails the old one
stays. Hence two versions are in memory during a change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto


class Stage(Enum):
    """Where one version stands in the manager."""

    NEW = auto()
    LOADING = auto()
    READY = auto()
    UNLOADING = auto()
    DISABLED = auto()
    ERROR = auto()


SETTLED = frozenset({Stage.NEW, Stage.DISABLED, Stage.ERROR})
"""The stages in which a version that is not wanted any more can be forgotten."""


@dataclass(frozen=True, slots=True)
class VersionStage:
    """One version as the policy sees it."""

    version: int
    stage: Stage
    aspired: bool


@dataclass(frozen=True, slots=True)
class Load:
    """Load this version."""

    version: int


@dataclass(frozen=True, slots=True)
class Unload:
    """Unload this version."""

    version: int


def next_step(versions: Iterable[VersionStage]) -> Load | Unload | None:
    """What to do first, None where nothing is to be done (now)."""
    known = list(versions)
    aspired = [wanted for wanted in known if wanted.aspired]
    leaving = [loaded.version for loaded in known if not loaded.aspired and loaded.stage is Stage.READY]
    replaced = not aspired or any(loaded.stage is Stage.READY for loaded in aspired) or len(leaving) > 1
    if leaving and replaced:
        return Unload(min(leaving))
    new = [waiting.version for waiting in aspired if waiting.stage is Stage.NEW]
    return Load(max(new)) if new else None
