"""Child objects: whose they are, whether they are as wanted, and how they come to be."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

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


def covers(live: Any, wanted: Any) -> bool:
    """Return whether everything wanted is already there; what else is there (defaults, others' fields) is no matter.

    Lists must agree in length and order. Numbers and quantities compare by value, since the API server rewrites
    `1000m` to `1`; an empty wanted value is covered by none.
    """
    if isinstance(wanted, dict):
        return isinstance(live or {}, dict) and all(covers((live or {}).get(key), each) for key, each in wanted.items())
    if isinstance(wanted, list):
        live = live or []
        return isinstance(live, list) and len(live) == len(wanted) and all(map(covers, live, wanted))
    if live == wanted or (wanted in (None, "", False) and not live):
        return True
    if isinstance(live, int | float | str) and isinstance(wanted, int | float | str):
        return (amount := _amount(wanted)) is not None and _amount(live) == amount
    return False


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


_SUFFIXES = {
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
}


def _amount(quantity: float | str) -> Decimal | None:
    """Return a Kubernetes quantity as a number, or None where it is not one."""
    text = str(quantity)
    number = text.rstrip("mkKMGTPi")
    try:
        return Decimal(number) * _SUFFIXES.get(text[len(number) :], Decimal(1))
    except InvalidOperation:
        return None
