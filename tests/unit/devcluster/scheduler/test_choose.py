from typing import Any

import pytest

from support.workloads import Object, a_node, a_pod, metadata
from trainyard_devcluster.scheduler.choose import choose
from trainyard_devcluster.scheduler.fit import rooms


def no_claims(name: str) -> Object | None:
    return None


def wanting(**requests: str) -> Object:
    named = {name.replace("gpu", "nvidia.com/gpu"): amount for name, amount in requests.items()}
    return a_pod(phase="Pending", node="", spec={"containers": [{"name": "c", "resources": {"requests": named}}]})


def test_the_least_loaded_node_is_chosen_and_among_equals_the_first() -> None:
    nodes = [a_node("n1"), a_node("n2"), a_node("n3")]
    busy = [("n1", wanting(cpu="1")), ("n2", wanting(memory="1Gi"))]
    assert choose(wanting(cpu="1"), rooms(nodes, busy), no_claims).node == "n3"
    assert choose(wanting(cpu="1"), rooms(nodes, []), no_claims).node == "n1"


def test_the_reason_counts_what_each_node_lacks_in_kubernetes_words() -> None:
    nodes = [a_node("n1"), a_node("n2", unschedulable=True), a_node("n3")]
    assert choose(wanting(gpu="1", cpu="9"), rooms(nodes, []), no_claims).reason == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, 2 Insufficient nvidia.com/gpu."
    )


def test_without_nodes_the_reason_is_that_there_are_none() -> None:
    assert choose(wanting(), [], no_claims).reason == "no nodes available to schedule pods"


def a_claim(name: str, **given: Any) -> Object:
    return {"metadata": metadata(name), "spec": {}, "status": {}} | given


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (None, 'persistentvolumeclaim "store" not found'),
        (a_claim("store"), "pod has unbound immediate PersistentVolumeClaims"),
        (
            a_claim("store", metadata=metadata("store", deletionTimestamp="2026-01-01T00:00:00Z")),
            'persistentvolumeclaim "store" is being deleted',
        ),
        (
            a_claim("store", spec={"volumeName": "v"}, status={"phase": "Lost"}),
            'persistentvolumeclaim "store" bound to non-existent persistentvolume',
        ),
    ],
)
def test_a_claim_that_cannot_be_used_is_named(claim: Object | None, reason: str) -> None:
    pod = a_pod(spec={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "store"}}]})
    choice = choose(pod, rooms([a_node()], []), lambda name: claim if name == "store" else None)
    assert choice.reason == f"0/1 nodes are available: {reason}."


def test_a_pod_with_a_bound_claim_is_placed() -> None:
    pod = a_pod(spec={"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "store"}}]})
    assert choose(pod, rooms([a_node()], []), lambda name: a_claim(name, spec={"volumeName": "v"})).node == "n1"
