"""A cluster in memory behind the operator's port, which can fail at the n-th call."""

import copy
import json
import marshal
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from trainyard_operator.cluster.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from trainyard_operator.cluster.kinds import EVENT, POD, Kind
from trainyard_operator.cluster.port import Event, Manifest

_JSON = TypeVar("_JSON")


class Killed(BaseException):
    """The operator dies here: nothing of it may catch this."""


class FakeCluster:
    """Keeps what the API server keeps: uid, resourceVersion, generation, status apart from spec, owner references.

    Attributes:
        version: Rises with every change.
        on_change: Told of each change, as a watch would be: its type, the plural, the object.
        calls: Every call so far, as (verb, plural).
        logs: What the containers of a pod have written, by its name.
        events: Every event emitted, as (kind of the object, its name, event).
        told: What others have told about an object, by its uid.
        fail_at: Raise `failure` instead of answering the call with this number (from 0); None never does.
        fail_after: As `fail_at`, but the write takes effect first: the answer is lost.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Manifest] = {}
        self.calls: list[tuple[str, str]] = []
        self.logs: dict[str, str] = {}
        self.events: list[tuple[str, str, Event]] = []
        self.told: dict[str, list[Manifest]] = {}
        self.fail_at: int | None = None
        self.fail_after: int | None = None
        self.failure: BaseException = Killed()
        self.version = 0
        self.on_change: Callable[[str, str, Manifest], None] = lambda *_: None

    def fork(self) -> "FakeCluster":
        """Return a cluster that is as this one is now, and goes its own way from here."""
        twin = copy.copy(self)
        twin.objects, twin.logs = _copy(self.objects), {**self.logs}
        twin.calls, twin.events = [*self.calls], [*self.events]
        return twin

    def remains(self) -> tuple[dict[tuple[str, str, str], Manifest], list[str]]:
        """Return all objects without what numbers the writes, and all events in any order."""
        objects = _copy(self.objects)
        for each in objects.values():
            for numbered in ("uid", "resourceVersion", "ownerReferences"):
                each["metadata"].pop(numbered, None)
        return objects, sorted(str(event) for _, _, event in self.events)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] not in ("get", "list", "log")]

    async def get(self, kind: Kind, namespace: str, name: str, *, live: bool = False) -> Manifest:
        with self._call("get", kind):
            return _copy(self._find(kind, namespace, name))

    async def select(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None, live: bool = False
    ) -> list[Manifest]:
        with self._call("list", kind):
            return self.peek(kind, namespace, labels=labels)

    async def snapshot(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> tuple[list[Manifest], str]:
        with self._call("list", kind):
            return self.peek(kind, namespace, labels=labels), str(self.version)

    async def log(self, namespace: str, pod: str, *, container: str, lines: int, most_bytes: int) -> str:
        with self._call("log", POD):
            containers = self._find(POD, namespace, pod)["status"].get("containerStatuses", [])
            if container not in [each["name"] for each in containers]:
                raise Invalid(f"container {container!r} in pod {pod!r} is waiting to start", code=400)
            last = self.logs.get(pod, "").splitlines(keepends=True)[-lines:]
            return "".join(last).encode()[:most_bytes].decode(errors="replace")

    async def create(self, kind: Kind, manifest: Manifest) -> Manifest:
        with self._call("create", kind):
            if self._key(kind, manifest) in self.objects:
                raise AlreadyExists(f"{kind.plural} {manifest['metadata']['name']!r} already exists", code=409)
            return self.put(kind, manifest)

    async def apply(self, kind: Kind, manifest: Manifest) -> Manifest:
        with self._call("apply", kind):
            live = self.objects.get(self._key(kind, manifest))
            self._check_preconditions(live, manifest)
            if live is None:
                return self.put(kind, manifest)
            wanted = {key: each for key, each in _sent(manifest).items() if key != "status"}
            return self._store(kind, merged(live, wanted), live)

    async def scale(self, kind: Kind, manifest: Manifest, replicas: int) -> None:
        with self._call("scale", kind):
            live = self._find(kind, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
            self._check_preconditions(live, {"metadata": {"resourceVersion": manifest["metadata"]["resourceVersion"]}})
            self._store(kind, live | {"spec": live["spec"] | {"replicas": replicas}}, live)

    async def apply_status(self, kind: Kind, manifest: Manifest) -> Manifest:
        with self._call("apply_status", kind):
            live = self._find(kind, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
            self._check_preconditions(live, manifest)
            # One manager owns the whole status, so what it no longer applies disappears.
            return self._store(kind, live | {"status": _sent(manifest["status"])}, live)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        with self._call("delete", kind):
            live = self.objects.get((kind.plural, namespace, name))
            if live is None:
                return
            if live["metadata"]["uid"] != uid:
                raise Conflict(f"the UID in the precondition ({uid}) does not match", code=409)
            self.remove(kind, namespace, name)

    async def events_of(self, namespace: str, uid: str) -> list[Manifest]:
        with self._call("list", EVENT):
            return _copy(self.told.get(uid, []))

    async def emit(self, regarding: Manifest, event: Event, *, again: bool = False) -> bool:
        with self._call("emit", EVENT):
            told = (regarding["kind"], regarding["metadata"]["name"], event)
            if again and told in self.events:
                return False
            self.events.append(told)
            return True

    # What follows is for tests and stands for users and for Kubernetes' own controllers: it is not counted.

    def put(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Create or replace an object, status included."""
        key = self._key(kind, manifest)
        new = _sent(manifest) | {"apiVersion": kind.api_version, "kind": kind.name}
        if key not in self.objects:
            new["metadata"] = {"uid": f"uid-{self.version + 1}", "generation": 1} | new["metadata"]
            new["metadata"].setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        return self._store(kind, new, self.objects.get(key))

    def set_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        """Replace the status of an object."""
        live = self._find(kind, namespace, name)
        self._store(kind, live | {"status": _sent(dict(status))}, live)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Delete an object and all it owns."""
        gone = self.objects.pop((kind.plural, namespace, name))
        self.version += 1
        self.on_change(
            "DELETED", kind.plural, gone | {"metadata": gone["metadata"] | {"resourceVersion": str(self.version)}}
        )
        uid = gone["metadata"]["uid"]
        for key, each in list(self.objects.items()):
            if key in self.objects and any(
                owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", [])
            ):
                self.remove(Kind("", "", each["kind"], key[0]), key[1], key[2])

    def peek(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """List objects without being counted."""
        return [
            _copy(each)
            for (plural, place, _), each in sorted(self.objects.items())
            if plural == kind.plural
            and namespace in (None, place)
            and (labels or {}).items() <= each["metadata"].get("labels", {}).items()
        ]

    def _call(self, verb: str, kind: Kind) -> "_Call":
        self.calls.append((verb, kind.plural))
        number = len(self.calls) - 1
        if number == self.fail_at:
            raise self.failure
        return _Call(self.failure if number == self.fail_after else None)

    def _find(self, kind: Kind, namespace: str, name: str) -> Manifest:
        try:
            return self.objects[kind.plural, namespace, name]
        except KeyError:
            raise NotFound(f"{kind.plural} {name!r} not found", code=404, reason="NotFound") from None

    def _store(self, kind: Kind, new: Manifest, old: Manifest | None) -> Manifest:
        def essence(each: Manifest) -> Manifest:
            return {key: part for key, part in each.items() if key not in ("metadata", "status")}

        if old is not None and new == old:
            return _copy(old)
        self.version += 1
        new = _copy(new)
        new["metadata"]["resourceVersion"] = str(self.version)
        if old is not None:
            new["metadata"]["uid"] = old["metadata"]["uid"]
            new["metadata"]["generation"] = old["metadata"]["generation"] + (essence(new) != essence(old))
        self.objects[self._key(kind, new)] = new
        self.on_change("ADDED" if old is None else "MODIFIED", kind.plural, new)
        return _copy(new)

    @staticmethod
    def _key(kind: Kind, manifest: Manifest) -> tuple[str, str, str]:
        return kind.plural, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]

    @staticmethod
    def _check_preconditions(live: Manifest | None, manifest: Manifest) -> None:
        for field in ("uid", "resourceVersion"):
            expected = manifest["metadata"].get(field)
            if expected and (live is None or live["metadata"][field] != expected):
                raise Conflict(f"{field} is no longer {expected}", code=409, reason="Conflict")


class _Call:
    """Loses the answer of a call that has taken effect, where asked to."""

    def __init__(self, failure: BaseException | None) -> None:
        self._failure = failure

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._failure is not None and (kind is None or not issubclass(kind, ApiError)):
            raise self._failure


def _sent(manifest: Manifest) -> Manifest:
    """Return what arrives of a manifest, which is JSON."""
    return cast(Manifest, json.loads(json.dumps(manifest)))


def _copy(stored: _JSON) -> _JSON:
    """Copy what has arrived, many times faster than JSON or copy.deepcopy."""
    return cast(_JSON, marshal.loads(marshal.dumps(cast(Any, stored), 2)))


def merged(live: Manifest, wanted: Manifest) -> Manifest:
    """Return `live` with what is wanted laid over it, maps merged, lists and selectors (which are atomic) replaced."""
    result = _copy(live)
    for key, each in wanted.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(each, dict) and key != "selector":
            result[key] = merged(old, each)
        else:
            result[key] = _copy(each)
    return result
