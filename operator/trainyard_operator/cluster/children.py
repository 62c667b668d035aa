"""Child objects: whose they are, and how they come to be as wanted."""

from collections.abc import Collection, Iterable
from contextlib import suppress

from trainyard_operator.cluster.compare import covers
from trainyard_operator.cluster.errors import AlreadyExists, ApiError, NotFound
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Cluster, Manifest


class NameTaken(ApiError):
    """A child's name belongs to an object that is not ours; it is left alone."""


class Leftover(NameTaken):
    """The object with a child's name is on its way out, or belonged to an owner of the same name: it goes by itself."""


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


def by_controller(children: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    """Return the children by the uid of the object that controls them."""
    grouped: dict[str, list[Manifest]] = {}
    for child in children:
        for reference in child["metadata"].get("ownerReferences", []):
            if reference.get("controller"):
                grouped.setdefault(reference["uid"], []).append(child)
    return grouped


def names_of(children: Iterable[Manifest]) -> set[str]:
    """Return what they are called."""
    return {child["metadata"]["name"] for child in children}


async def found(cluster: Cluster, kind: Kind, namespace: str, names: Collection[str]) -> list[Manifest]:
    """Return those that the API server has, asked for each by its name: what a list lacks need not be gone."""
    children = []
    for name in sorted(names):
        with suppress(NotFound):
            children.append(await cluster.get(kind, namespace, name, live=True))
    return children


async def ensure(cluster: Cluster, kind: Kind, wanted: Manifest, live: Manifest | None) -> Manifest:
    """Bring one child to what is wanted with at most one write, and none where it already is.

    `live` is the child as observed, or None. Killed after the write, the next call finds the child and goes on.

    Raises:
        NameTaken: an object of that name exists and is not controlled by the wanted child's owner.
        Leftover: the same, but it will be gone soon.
        Conflict: the child was changed or replaced since it was observed.
    """
    if live is None:
        try:
            return await cluster.create(kind, wanted)
        except AlreadyExists:
            live = await _ours(cluster, kind, wanted)
    if covers(live, wanted):
        return live
    # With both, a child that was changed or replaced since it was observed is a conflict, not a victim.
    seen = {field: live["metadata"][field] for field in ("uid", "resourceVersion")}
    metadata = wanted["metadata"] | seen
    return await cluster.apply(kind, wanted | {"metadata": metadata})


async def ensure_by_name(cluster: Cluster, kind: Kind, wanted: Manifest) -> Manifest:
    """Do what `ensure` does for a child that nobody has observed: one more GET, or none where the kind is watched.

    Raises:
        NameTaken, Leftover, Conflict: see `ensure`.
    """
    try:
        live = await _ours(cluster, kind, wanted, live=False)
    except NotFound:
        live = None
    return await ensure(cluster, kind, wanted, live)


async def _ours(cluster: Cluster, kind: Kind, wanted: Manifest, *, live: bool = True) -> Manifest:
    metadata = wanted["metadata"]
    found_child = await cluster.get(kind, metadata["namespace"], metadata["name"], live=live)
    owner = metadata["ownerReferences"][0]
    if is_controlled_by(found_child, owner["uid"]):
        return found_child
    what = f"{kind.name} {metadata['name']!r} in namespace {metadata['namespace']!r}"
    predecessor = [owner[field] for field in ("apiVersion", "kind", "name")]
    if "deletionTimestamp" in found_child["metadata"] or any(
        [owner.get(field) for field in ("apiVersion", "kind", "name")] == predecessor
        for owner in found_child["metadata"].get("ownerReferences", [])
    ):
        raise Leftover(f"{what} of an earlier {owner['kind']} is still being deleted")
    raise NameTaken(f"{what} belongs to something else; delete or rename it")
