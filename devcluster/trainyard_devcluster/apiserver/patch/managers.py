"""Managed fields: who owns what, after updates and after applies. The rules are structured-merge-diff's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.patch.fieldset import FieldSet
from trainyard_devcluster.apiserver.patch.typed import compare, fields_of, merge, remove
from trainyard_devcluster.apiserver.schema.node import Schema
from trainyard_devcluster.apiserver.values import Object

_SYSTEM = FieldSet.of(
    ("apiVersion",), ("kind",), ("metadata",),
    *(("metadata", name) for name in (
        "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
    )),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manager:
    """A writer: its name, how it writes, in which version and through which subresource."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes two entries the same manager's. An applier stays itself in every version."""
        version = "" if self.operation == "Apply" else self.api_version
        return (self.name, self.operation, version, self.subresource)

    def __str__(self) -> str:
        shown = f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")
        return f"{shown} using {self.api_version}" if self.operation == "Update" else shown


@dataclass(frozen=True, slots=True)
class Entry:
    """What a manager owns, and since when."""

    manager: Manager
    fields: FieldSet
    time: str


Managers = dict[tuple[str, str, str, str], Entry]


def read(obj: Object) -> Managers:
    """Return the managers of an object."""
    found: Managers = {}
    for wire in obj["metadata"].get("managedFields") or ():
        manager = Manager(
            wire.get("manager", ""), wire.get("operation", ""), wire.get("apiVersion", ""), wire.get("subresource", "")
        )
        found[manager.identity] = Entry(manager, FieldSet.from_wire(wire.get("fieldsV1") or {}), wire.get("time", ""))
    return found


def write(managers: Managers) -> list[Object]:
    """Return managers as `managedFields`."""
    ordered = sorted(
        managers.values(),
        key=lambda each: (each.manager.operation, each.time, each.manager.name, each.manager.subresource),
    )
    return [_wire(each) for each in ordered]


def _wire(entry: Entry) -> Object:
    manager = entry.manager
    wire: Object = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": entry.fields.to_wire(),
    }
    return wire | ({"subresource": manager.subresource} if manager.subresource else {})


def after_update(
    old: Object, new: Object, managers: Managers, *, by: Manager, schema: Schema, ignored: FieldSet, now: str
) -> Managers:
    """Return the managers after a write of a whole object: what the writer changed is its own now."""
    difference = compare(old, new, schema)
    changed = difference.added.union(difference.modified).without(ignored).difference(_SYSTEM)
    removed = difference.removed
    result = _reassign(managers, by, changed, removed)
    mine = result.get(by.identity)
    fields = (mine.fields if mine else FieldSet()).difference(removed).union(changed)
    if not fields:
        result.pop(by.identity, None)
    elif mine is None or fields != mine.fields:
        result[by.identity] = Entry(by, fields, now)
    return result


def _reassign(managers: Managers, by: Manager, taken: FieldSet, removed: FieldSet) -> Managers:
    result: Managers = {}
    for identity, entry in managers.items():
        if identity == by.identity:
            result[identity] = entry
            continue
        left = entry.fields.difference(taken).difference(removed)
        if left:
            result[identity] = entry if left == entry.fields else replace(entry, fields=left)
    return result


def after_apply(
    live: Object,
    config: Object,
    managers: Managers,
    *,
    by: Manager,
    schema: Schema,
    ignored: FieldSet,
    force: bool,
    now: str,
) -> tuple[Object, Managers]:
    """Return the object and its managers after a server-side apply.

    Raises:
        ApiError: 409, the configuration changes fields of others and `force` is not set.
    """
    mine = fields_of(config, schema).without(ignored).difference(_SYSTEM)
    last = managers.get(by.identity)
    claimed = dict(managers)
    time = last.time if last is not None and last.fields == mine else now
    claimed[by.identity] = Entry(by, mine, time)
    merged = merge(live, config, schema)
    if last is not None and last.fields:
        merged = _drop_unapplied(merged, last.fields, claimed, schema)
    difference = compare(live, merged, schema)
    changed = difference.added.union(difference.modified).without(ignored)
    _check_conflicts(claimed, by, changed, force=force)
    result = _reassign(claimed, by, changed, difference.removed)
    if not mine:
        result.pop(by.identity, None)
    return merged, result


def _drop_unapplied(merged: Object, last: FieldSet, managers: Managers, schema: Schema) -> Object:
    """Remove what the applier owned, applies no longer, and nobody else owns."""
    owned = FieldSet()
    for entry in managers.values():
        owned = owned.union(entry.fields)
    gone = last.with_named_parents(schema).difference(owned.with_named_parents(schema)).difference(_SYSTEM)
    kept: Object = remove(merged, gone, schema)
    return kept


def _check_conflicts(managers: Managers, by: Manager, changed: FieldSet, *, force: bool) -> None:
    if force:
        return
    found: dict[str, list[str]] = {}
    for identity, entry in managers.items():
        if identity != by.identity and (shared := entry.fields.intersection(changed)):
            found.setdefault(str(entry.manager), []).extend(shared.paths())
    if found:
        raise _apply_conflict(found)


def _apply_conflict(found: Mapping[str, list[str]]) -> ApiError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, paths in found.items()
        for path in paths
    ]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        listed = "\n".join(
            "\n".join([f"conflicts with {manager}:", *(f"- {path}" for path in paths)])
            for manager, paths in sorted(found.items())
        )
        message = f"Apply failed with {len(causes)} conflicts: {listed}"
    return ApiError(409, "Conflict", message, {"causes": causes})
