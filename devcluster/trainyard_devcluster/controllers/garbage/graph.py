"""Who owns whom, from every object that has been seen."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from trainyard_devcluster import pods
from trainyard_devcluster.resources import Object, uid_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
REMEMBERED_DEPARTURES = 10_000


class Graph:
    """Objects by uid, and by the uid of each owner."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._dependents: dict[str, set[str]] = {}
        self._departed: OrderedDict[str, None] = OrderedDict()

    def get(self, uid: str) -> Object | None:
        """An object that is there."""
        return self._objects.get(uid)

    def has_departed(self, uid: str) -> bool:
        """Whether the object was seen going, as far back as is remembered."""
        return uid in self._departed

    def dependents(self, uid: str) -> list[Object]:
        """The objects that name this one as an owner."""
        return [self._objects[entry] for entry in sorted(self._dependents.get(uid, ()))]

    def put(self, obj: Object) -> None:
        """Take in an object as it is now."""
        old = self._objects.get(uid_of(obj))
        if old is not None:
            self._unlink(old)
        self._objects[uid_of(obj)] = obj
        for uid in _owner_uids(obj):
            self._dependents.setdefault(uid, set()).add(uid_of(obj))

    def remove(self, obj: Object) -> None:
        """Take note that an object is gone."""
        old = self._objects.pop(uid_of(obj), None)
        if old is not None:
            self._unlink(old)
        self._departed[uid_of(obj)] = None
        if len(self._departed) > REMEMBERED_DEPARTURES:
            self._departed.popitem(last=False)

    def _unlink(self, obj: Object) -> None:
        for uid in _owner_uids(obj):
            entries = self._dependents.get(uid, set())
            entries.discard(uid_of(obj))
            if not entries:
                self._dependents.pop(uid, None)


class Owner(Enum):
    """What an owner reference leads to."""

    PRESENT = auto()
    ABSENT = auto()
    WAITING = auto()
    """An owner that goes once its dependents are gone."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with an object: delete it this way, or keep it with these references only; neither: nothing."""

    delete: str | None = None
    keep: tuple[Object, ...] | None = None


def judge(obj: Object, owners: Iterable[tuple[Object, Owner]], dependents: Iterable[Object]) -> Verdict:
    """An object goes when its last owner is gone or waits for it."""
    known = list(owners)
    states = {state for _, state in known}
    if not known or states == {Owner.PRESENT}:
        return Verdict()
    if Owner.PRESENT in states:
        return Verdict(keep=tuple(reference for reference, state in known if state is Owner.PRESENT))
    finalizers = obj["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return Verdict(delete="Orphan")
    if FOREGROUND in finalizers or (Owner.WAITING in states and any(True for _ in dependents)):
        return Verdict(delete="Foreground")
    return Verdict(delete="Background")


def waits_for_dependents(obj: Object) -> bool:
    """Whether the object was deleted in the foreground."""
    return pods.is_terminating(obj) and FOREGROUND in (obj["metadata"].get("finalizers") or ())


def leaves_orphans(obj: Object) -> bool:
    """Whether the object was deleted without what it owns."""
    return pods.is_terminating(obj) and ORPHAN in (obj["metadata"].get("finalizers") or ())


def blocks(dependent: Object, owner_uid: str) -> bool:
    """Whether a dependent keeps its owner from going in the foreground."""
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(entry["uid"] == owner_uid and entry.get("blockOwnerDeletion") for entry in references)


def _owner_uids(obj: Object) -> list[str]:
    return [entry["uid"] for entry in obj["metadata"].get("ownerReferences") or ()]
