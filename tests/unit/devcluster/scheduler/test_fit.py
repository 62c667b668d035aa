from typing import Any

import pytest

from support.workloads import Object, a_node, a_pod
from trainyard_devcluster.scheduler.fit import Room, obstacles


def wanting(requests: Object | None = None, **spec: Any) -> Object:
    container = {"name": "main", "resources": {"requests": requests or {}}}
    return a_pod(phase="Pending", node="", spec={"containers": [container]} | spec)


def affinity(*terms: Object) -> Object:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def expression(key: str, operator: str, *values: str) -> Object:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


GPU_NODE = a_node(labels={"pool": "gpu", "memory": "32"}, allocatable={"nvidia.com/gpu": "2"})
NOT_WANTED = "node(s) didn't match Pod's node affinity/selector"


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        (wanting(), []),
        (wanting({"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2"}), []),
        (wanting({"cpu": "4001m"}), ["Insufficient cpu"]),
        (wanting({"memory": "9Gi", "nvidia.com/gpu": "3"}), ["Insufficient memory", "Insufficient nvidia.com/gpu"]),
        (wanting({"example.com/fpga": "1"}), ["Insufficient example.com/fpga"]),
        (wanting({"example.com/fpga": "0"}), []),
        (wanting(nodeSelector={"pool": "gpu"}), []),
        (wanting(nodeSelector={"pool": "cpu"}), [NOT_WANTED]),
        (wanting(**affinity(expression("pool", "In", "gpu", "tpu"))), []),
        (wanting(**affinity(expression("pool", "NotIn", "gpu"), expression("memory", "Gt", "16"))), []),
        (wanting(**affinity(expression("memory", "Lt", "16"))), [NOT_WANTED]),
        (wanting(**affinity(expression("pool", "Unknown", "gpu"))), [NOT_WANTED]),
        (wanting(**affinity(expression("memory", "Gt"))), [NOT_WANTED]),
        (wanting(**affinity({"matchExpressions": [{"key": "pool"}]})), [NOT_WANTED]),
        (wanting(**affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]})), []),
        (wanting(**affinity({})), [NOT_WANTED]),
    ],
)
def test_what_keeps_a_pod_from_a_node(pod: Object, found: list[str]) -> None:
    assert obstacles(pod, Room(GPU_NODE)) == found


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_a_taint_keeps_pods_away_that_do_not_tolerate_it(toleration: Object, fits: bool) -> None:
    room = Room(a_node(taints=[TAINT]))
    assert obstacles(wanting(), room) == ["node(s) had untolerated taint(s)"]
    assert (obstacles(wanting(tolerations=[toleration]), room) == []) is fits


def test_a_node_that_prefers_to_be_left_alone_still_takes_pods() -> None:
    assert obstacles(wanting(), Room(a_node(taints=[TAINT | {"effect": "PreferNoSchedule"}]))) == []


def test_a_cordoned_node_takes_only_pods_that_tolerate_it() -> None:
    room = Room(a_node(unschedulable=True))
    assert obstacles(wanting(), room) == ["node(s) were unschedulable"]
    assert obstacles(wanting(tolerations=[{"operator": "Exists"}]), room) == []


def test_pods_on_the_node_take_their_share() -> None:
    room = Room(a_node(allocatable={"pods": "2"}))
    room.take(wanting({"cpu": "3"}))
    assert obstacles(wanting({"cpu": "2"}), room) == ["Insufficient cpu"]
    room.take(wanting())
    assert obstacles(wanting(), room) == ["Too many pods"]


def test_a_port_of_the_node_is_given_once() -> None:
    room = Room(a_node())
    pod = wanting()
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
    room.take(pod)
    assert obstacles(pod, room) == ["node(s) didn't have free ports for the requested pod ports"]


def cpu(amount: str, **given: Any) -> Object:
    return {"name": f"c{amount}", "resources": {"requests": {"cpu": amount}}} | given


@pytest.mark.parametrize(
    ("spec", "total"),
    [
        ({"containers": [cpu("1"), cpu("500m")]}, 1.5),
        ({"containers": [cpu("1")], "initContainers": [cpu("3"), cpu("2")]}, 3),
        ({"containers": [cpu("1")], "initContainers": [cpu("2", restartPolicy="Always"), cpu("3")]}, 5),
        ({"containers": [cpu("4")], "initContainers": [cpu("2", restartPolicy="Always"), cpu("3")]}, 6),
        ({"containers": [cpu("1")], "overhead": {"cpu": "250m"}}, 1.25),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}]}, 2),
    ],
)
def test_init_containers_count_as_the_peak_and_sidecars_add_up(spec: Object, total: float) -> None:
    room = Room(a_node())
    room.take(a_pod(spec=spec))
    assert float(room.used["cpu"]) == total
