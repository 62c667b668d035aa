"""What the nodes of the cluster offer to pods that ask for an extended resource, such as GPUs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trainyard_operator.cluster.compare import amount
from trainyard_operator.cluster.errors import Forbidden, NotFound
from trainyard_operator.cluster.kinds import NODE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.workloads.blockers import Blocker
from trainyard_operator.workloads.text import clean, listed

GPU_NOT_OFFERED, NODES_NOT_SELECTED, TAINT_NOT_TOLERATED = "GpuNotOffered", "NodesNotSelected", "TaintNotTolerated"
_FRESH = timedelta(seconds=30)
_OF_THE_NODE = "node.kubernetes.io/"
"""Prefix of taints that come and go with the state of a node: cordoned, not ready, short of memory."""


@dataclass(frozen=True, slots=True)
class NodeOffer:
    """The little of a node that decides whether pods may go there."""

    labels: Mapping[str, str]
    taints: Sequence[Manifest]
    allocatable: Mapping[str, object]

    def count(self, resource: str) -> int:
        """Return how many of an extended resource the node offers to pods."""
        return int(amount(self.allocatable.get(resource)) or 0)


@dataclass(slots=True)
class NodeOffers:
    """The nodes as they were at most half a minute ago: a thousand jobs that start at once list them once."""

    seen: list[NodeOffer] | None = None
    at: datetime | None = field(default=None)

    async def latest(self, cluster: Cluster, now: datetime) -> list[NodeOffer] | None:
        """Return the nodes, or None where the operator may not see them."""
        if self.at is None or not timedelta() <= now - self.at < _FRESH:
            self.seen, self.at = await _list(cluster), now
        return self.seen


async def _list(cluster: Cluster) -> list[NodeOffer] | None:
    try:
        nodes = await cluster.select(NODE)
    except (Forbidden, NotFound):
        return None
    return [
        NodeOffer(
            labels=node["metadata"].get("labels") or {},
            taints=(node.get("spec") or {}).get("taints") or [],
            allocatable=(node.get("status") or {}).get("allocatable") or {},
        )
        for node in nodes
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a pod asks of its node.

    Attributes:
        path: Where the spec describes the pods, for example `spec.roles.worker`.
    """

    path: str
    resource: str
    count: int
    node_selector: Mapping[str, str]
    tolerations: Sequence[Manifest]


def unmet(nodes: Sequence[NodeOffer], wanted: Wanted) -> Blocker | None:
    """Return why no node that is there now can take the pod. An autoscaler may bring one, so it is worth a wait."""
    offers = sorted(nodes, key=lambda node: node.count(wanted.resource), reverse=True)
    most = offers[0].count(wanted.resource) if offers else 0
    advice = "if no autoscaler brings such a node, the training waits for ever"
    if most < wanted.count:
        there = f"the largest offer is {most}" if most else f"none of {len(nodes)} does"
        repair = "ask for fewer" if most else "install the vendor's device plugin on your nodes"
        return Blocker(
            GPU_NOT_OFFERED,
            f"no node offers {wanted.count} {wanted.resource} ({wanted.path}.gpus): {there}. {repair[0].upper()}"
            f"{repair[1:]}, or name another resource in {wanted.path}.gpuResource; {advice}",
            transient=True,
        )
    able = [node for node in offers if node.count(wanted.resource) >= wanted.count]
    chosen = [node for node in able if wanted.node_selector.items() <= node.labels.items()]
    if not chosen:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(wanted.node_selector.items()))
        return Blocker(
            NODES_NOT_SELECTED,
            f"no node with {wanted.count} {wanted.resource} has {clean(labels)}, as {wanted.path} asks "
            f"(template.nodeSelector, gpuProduct): change that, or label a node; {advice}",
            transient=True,
        )
    taints = [_first_in_the_way(node.taints, wanted.tolerations) for node in chosen]
    if None not in taints:
        words = sorted({_in_words(taint) for taint in taints if taint is not None})
        return Blocker(
            TAINT_NOT_TOLERATED,
            f"every node with {wanted.count} {wanted.resource} has a taint that the pods do not tolerate: "
            f"{listed('taint', words[:5])}; add a toleration to {wanted.path}.template.tolerations",
            transient=True,
        )
    return None


def _first_in_the_way(taints: Iterable[Manifest], tolerations: Sequence[Manifest]) -> Manifest | None:
    for taint in taints:
        lasting = not str(taint.get("key", "")).startswith(_OF_THE_NODE) and taint.get("effect") != "PreferNoSchedule"
        if lasting and not any(_tolerates(toleration, taint) for toleration in tolerations):
            return taint
    return None


def _tolerates(toleration: Manifest, taint: Manifest) -> bool:
    """Return whether a toleration matches a taint, as the scheduler decides it."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def _in_words(taint: Manifest) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return clean(f"{taint.get('key')}{value}:{taint.get('effect')}", 100)
