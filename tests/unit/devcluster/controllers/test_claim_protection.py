"""Which pods hold a claim."""

import pytest

from support.workloads import Object, a_pod
from trainyard_devcluster.controllers.volumes.protection import uses

MOUNTED = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "models"}}]}


@pytest.mark.parametrize(
    ("pod", "held"),
    [
        pytest.param(a_pod(spec=MOUNTED), True, id="running"),
        pytest.param(a_pod(phase="Succeeded", spec=MOUNTED), True, id="finished"),
        pytest.param(a_pod(phase="Pending", node="", spec=MOUNTED), False, id="without a node"),
        pytest.param(a_pod(spec={"volumes": [{"name": "v", "emptyDir": {}}]}), False, id="of another volume"),
    ],
)
def test_a_pod_holds_the_claims_that_it_mounts_until_it_is_deleted(pod: Object, held: bool) -> None:
    assert uses(pod, "models") is held


def test_an_ephemeral_claim_is_held_by_its_pod() -> None:
    pod = a_pod(spec={"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]})

    assert uses(pod, f"{pod['metadata']['name']}-scratch")
