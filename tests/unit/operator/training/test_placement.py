"""Where the pods of a training go."""

from typing import Any

import pytest

from trainyard_api.roles import Worker
from trainyard_operator.training.placement import affinity

PODS = {"trainyard.dev/training-job": "churn"}
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
PRODUCT = {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-H200"]}
ZONE = {"key": "zone", "operator": "Exists"}
TOGETHER = {
    "weight": 100,
    "podAffinityTerm": {"labelSelector": {"matchLabels": PODS}, "topologyKey": "topology.kubernetes.io/zone"},
}
ANY_NODE = {"weight": 1, "preference": {"matchExpressions": [ZONE]}}


def placed(own: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any] | None:
    return affinity(Worker.model_validate({"template": {"affinity": own}} | fields), PODS)


def test_nothing_is_asked_where_the_spec_asks_nothing() -> None:
    assert placed() is None
    assert placed({"nodeAffinity": {PREFERRED: [ANY_NODE]}}) == {"nodeAffinity": {PREFERRED: [ANY_NODE]}}


@pytest.mark.parametrize(
    ("own", "terms"),
    [
        (None, [{"matchExpressions": [PRODUCT]}]),
        # A node needs to satisfy one term only, so the product is in each.
        (
            [{"matchExpressions": [ZONE]}, {"matchFields": [ZONE]}],
            [{"matchExpressions": [ZONE, PRODUCT]}, {"matchFields": [ZONE], "matchExpressions": [PRODUCT]}],
        ),
    ],
)
def test_a_product_is_demanded_beside_what_the_user_demands(own: list[Any] | None, terms: list[Any]) -> None:
    theirs = {"nodeAffinity": {PREFERRED: [ANY_NODE]} | ({REQUIRED: {"nodeSelectorTerms": own}} if own else {})}

    found = placed(theirs, gpus=1, gpuProduct="NVIDIA-H200")

    assert found == {"nodeAffinity": {PREFERRED: [ANY_NODE], REQUIRED: {"nodeSelectorTerms": terms}}}
    assert REQUIRED not in theirs["nodeAffinity"] or theirs["nodeAffinity"][REQUIRED]["nodeSelectorTerms"] is own


def test_pods_are_wished_close_together_beside_what_the_user_wishes() -> None:
    theirs = {"podAffinity": {PREFERRED: [{"weight": 1}]}, "podAntiAffinity": {}}

    found = placed(theirs, replicas=2, topologyKey="topology.kubernetes.io/zone")

    assert found == {"podAffinity": {PREFERRED: [{"weight": 1}, TOGETHER]}, "podAntiAffinity": {}}
    assert theirs["podAffinity"] == {PREFERRED: [{"weight": 1}]}
