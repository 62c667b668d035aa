"""Child objects: whose they are, and how they come to be as wanted."""

from collections.abc import Iterable

from trainyard_operator.cluster.compare import covers
from trainyard_operator.cluster.errors import AlreadyExists, ApiError
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Cluster, Manifest


class NameTaken(ApiError):
    """A child's name belongs to an object that is not ours; it is left alone."""


def owner_reference(parent: Manifest) -> Manifest:
    """Return the reference that makes `parent` the controller of a child, which is deleted with it."""
    return {
        "apiVersion": parent["apiVersion"],
        "kind": parent["kind"],
        "name": parent["metadata"]["name"],
        "uid": parent["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_controlled_by(child: Manifest, uid: str) -> bool:
    """Return whether the object with this uid controls the child: labels can be copied, uids cannot."""
    references = child["metadata"].get("ownerReferences", [])
    return any(reference["uid"] == uid and reference.get("controller") for reference in references)


def controlled_by(parent: Manifest, children: Iterable[Manifest]) -> dict[str, Manifest]:
    """Return those that `parent` controls, by name."""
    uid = parent["metadata"]["uid"]
    return {child["metadata"]["name"]: child for child in children if is_controlled_by(child, uid)}


async def ensure(cluster: Cluster, kind: Kind, wanted: Manifest, live: Manifest | None) -> Manifest:
    """Bring one child to what is wanted with at most one write, and none where it already is.

    `live` is the child as observed, or None. Killed after the write, the next call finds the child and goes on.

    Raises:
        NameTaken: an object of that name exists and is not controlled by the wanted child's owner.
    """
    if live is None:
        try:
            return await cluster.create(kind, wanted)
        except AlreadyExists:
            live = await _ours(cluster, kind, wanted)
    if covers(live, wanted):
        return live
    # With the uid, a child that was replaced meanwhile is a conflict, not a victim.
    metadata = wanted["metadata"] | {"uid": live["metadata"]["uid"]}
    return await cluster.apply(kind, wanted | {"metadata": metadata})


async def _ours(cluster: Cluster, kind: Kind, wanted: Manifest) -> Manifest:
    metadata = wanted["metadata"]
    live = await cluster.get(kind, metadata["namespace"], metadata["name"])
    owner = metadata["ownerReferences"][0]["uid"]
    if not is_controlled_by(live, owner):
        leaving = ", which is being deleted" if "deletionTimestamp" in live["metadata"] else "; delete or rename it"
        raise NameTaken(
            f"{kind.name} {metadata['name']} in namespace {metadata['namespace']} belongs to something else{leaving}"
        )
    return live
