"""What nodes offer: whether any could take a pod that asks for GPUs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from support.fake_cluster import FakeCluster
from support.training import START
from trainyard_operator.cluster.errors import Forbidden
from trainyard_operator.cluster.kinds import NODE
from trainyard_operator.workloads.nodes import NodeOffer, NodeOffers, Wanted, unmet

GPU = "nvidia.com/gpu"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
TEAM = {"key": "team", "value": "vision", "effect": "NoExecute"}


def a_node(gpus: int = 0, *, taints: Sequence[dict[str, str]] = (), **labels: str) -> NodeOffer:
    return NodeOffer(labels, taints, {GPU: str(gpus)} if gpus else {"cpu": "4"})


def wanted(count: int = 1, *, tolerations: Sequence[dict[str, Any]] = (), **labels: str) -> Wanted:
    return Wanted(
        path="spec.roles.worker", resource=GPU, count=count, node_selector=labels, tolerations=list(tolerations)
    )


@pytest.mark.parametrize(
    ("nodes", "asked", "reason", "says"),
    [
        ([], wanted(), "GpuNotOffered", "none of 0 does"),
        ([a_node(), a_node()], wanted(), "GpuNotOffered", "no node offers 1 nvidia.com/gpu (spec.roles.worker.gpus)"),
        ([a_node(4), a_node(2)], wanted(8), "GpuNotOffered", "the largest offer is 4"),
        ([a_node(4, zone="a")], wanted(zone="b"), "NodesNotSelected", "has zone=b, as spec.roles.worker asks"),
        ([a_node(1, taints=[TEAM])], wanted(), "TaintNotTolerated", "the taint 'team=vision:NoExecute'"),
        (
            [a_node(1, taints=[TEAM])],
            wanted(tolerations=[{"key": "team", "value": "audio"}]),
            "TaintNotTolerated",
            "template.tolerations",
        ),
        (
            [a_node(1, taints=[TEAM])],
            wanted(tolerations=[{"key": "team", "operator": "Exists", "effect": "NoSchedule"}]),
            "TaintNotTolerated",
            "team=vision",
        ),
        ([a_node(8, taints=[TEAM]), a_node(1)], wanted(2), "TaintNotTolerated", "every node with 2 nvidia.com/gpu"),
    ],
)
def test_what_no_node_can_do_is_said(nodes: list[NodeOffer], asked: Wanted, reason: str, says: str) -> None:
    found = unmet(nodes, asked)

    assert found is not None
    assert (found.reason, found.transient) == (reason, True)
    assert says in found.message


@pytest.mark.parametrize(
    ("nodes", "asked"),
    [
        ([a_node(), a_node(2)], wanted(2)),
        ([a_node(1, zone="b")], wanted(zone="b")),
        ([a_node(1, taints=[TAINT])], wanted(tolerations=[{"key": GPU, "operator": "Exists"}])),
        ([a_node(1, taints=[TEAM])], wanted(tolerations=[{"operator": "Exists"}])),
        ([a_node(1, taints=[TEAM])], wanted(tolerations=[{"key": "team", "value": "vision", "effect": "NoExecute"}])),
        ([a_node(1, taints=[TEAM | {"effect": "PreferNoSchedule"}])], wanted()),
        # Cordoned, or short of something: that passes.
        ([a_node(1, taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}])], wanted()),
        ([a_node(1, taints=[TEAM]), a_node(1)], wanted()),
    ],
)
def test_a_node_that_could_take_the_pod_is_found(nodes: list[NodeOffer], asked: Wanted) -> None:
    assert unmet(nodes, asked) is None


async def test_nodes_are_listed_once_in_half_a_minute_however_many_ask() -> None:
    cluster, offers = FakeCluster(), NodeOffers()
    cluster.put(NODE, {"metadata": {"name": "a", "labels": {"zone": "b"}}, "status": {"allocatable": {GPU: "2"}}})

    first = await offers.latest(cluster, START)
    assert first == [NodeOffer({"zone": "b"}, [], {GPU: "2"})]
    assert await offers.latest(cluster, START + timedelta(seconds=29)) is first
    await offers.latest(cluster, START + timedelta(seconds=31))

    assert cluster.calls == [("list", "nodes")] * 2


async def test_nodes_that_may_not_be_seen_are_unknown_rather_than_none() -> None:
    cluster = FakeCluster()
    cluster.fail_at, cluster.failure = 0, Forbidden("nodes is forbidden", code=403)

    assert await NodeOffers().latest(cluster, START) is None
