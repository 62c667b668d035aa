"""Deletions: preconditions, grace, finalizers and what becomes of dependents."""

from dataclasses import dataclass
from datetime import timedelta

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.store import Stored
from trainyard_devcluster.apiserver.values import Json, Object, parse_time, timestamp
from trainyard_devcluster.apiserver.writer import is_gone

_PROPAGATION = {"Foreground": "foregroundDeletion", "Orphan": "orphan", "Background": None}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How to delete."""

    grace: int | None = None
    propagation: str = "Background"
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False

    @classmethod
    def of(cls, body: Json, query: dict[str, str]) -> "DeleteOptions":
        """Return the options in a body, and in a query for what the body leaves open.

        Raises:
            ApiError: 400 or 422, an option has a value that it cannot have.
        """
        sent: Object = body if isinstance(body, dict) else {}
        grace = sent.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
        orphan = sent.get("orphanDependents", query.get("orphanDependents"))
        propagation = sent.get("propagationPolicy") or query.get("propagationPolicy")
        if propagation is None:
            propagation = "Orphan" if orphan in (True, "true") else "Background"
        if propagation not in _PROPAGATION:
            problem = errors.not_supported("propagationPolicy", propagation, ["Foreground", "Background", "Orphan"])
            raise errors.invalid("DeleteOptions", "", "", [problem])
        conditions = sent.get("preconditions") or {}
        dry = sent.get("dryRun") or query.get("dryRun")
        try:
            seconds = None if grace is None else int(grace)
        except (TypeError, ValueError):
            raise errors.bad_request(f"gracePeriodSeconds is not a number: {grace!r}") from None
        return cls(seconds, propagation, conditions.get("uid"), conditions.get("resourceVersion"), bool(dry))


@dataclass(frozen=True, slots=True)
class Deletion:
    """The outcome: the object as it is now, and whether it is gone."""

    obj: Object
    gone: bool


def delete(cluster: Cluster, resource: Resource, stored: Stored, options: DeleteOptions) -> Deletion:
    """Delete an object, or mark it for deletion where a finalizer or its grace period holds it.

    Raises:
        ApiError: 409, a precondition does not hold.
    """
    old = stored.obj
    _check_preconditions(resource, old, options)
    metadata = dict(old["metadata"])
    finalizers = _finalizers(metadata.get("finalizers") or [], options)
    grace, begun = resource.behaviour.grace(old, options.grace), cluster.clock()
    if "deletionTimestamp" in metadata:
        # A second deletion may only shorten the grace period.
        old_grace = metadata.get("deletionGracePeriodSeconds") or 0
        grace = min(grace, old_grace)
        same = grace == old_grace and finalizers == (metadata.get("finalizers") or [])
        if same and not is_gone(old):
            return Deletion(old, gone=False)
        begun = parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=old_grace)
    elif "generation" in metadata:
        metadata["generation"] += 1
    metadata["deletionTimestamp"] = timestamp(begun + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers
    new = old | {"metadata": metadata}
    if resource.kind == "Namespace":
        new["status"] = (old.get("status") or {}) | {"phase": "Terminating"}
    return _carry_out(cluster, resource, new, options)


def _carry_out(cluster: Cluster, resource: Resource, new: Object, options: DeleteOptions) -> Deletion:
    key = (new["metadata"].get("namespace", ""), new["metadata"]["name"])
    gone = is_gone(new)
    if options.dry_run:
        return Deletion(new, gone)
    if gone:
        # Watchers see the object as it was: the deletion marks itself only where something waits for it.
        return Deletion(cluster.store.delete(resource.storage, key).obj, gone=True)
    return Deletion(cluster.store.put(resource.storage, key, new).obj, gone=False)


def _finalizers(present: list[str], options: DeleteOptions) -> list[str]:
    kept = [each for each in present if each not in ("orphan", "foregroundDeletion")]
    chosen = _PROPAGATION[options.propagation]
    return kept + ([chosen] if chosen else [])


def _check_preconditions(resource: Resource, obj: Object, options: DeleteOptions) -> None:
    metadata = obj["metadata"]
    for label, wanted, found in (
        ("UID", options.uid, metadata["uid"]),
        ("ResourceVersion", options.resource_version, metadata["resourceVersion"]),
    ):
        if wanted is not None and wanted != found:
            why = (
                f"the {label} in the precondition ({wanted}) does not match the {label} in record ({found}). "
                "The object might have been deleted and then recreated"
            )
            raise errors.conflict(resource.plural, resource.group, metadata["name"], why)
