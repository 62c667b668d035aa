"""Which versions may serve, on a cluster and by the real operator. The specs are those of docs/how-to/gate.md."""

from pathlib import Path

import pytest
import yaml

from support.kube_api import Api, Object
from support.line_service import (
    SECONDS,
    a_service,
    a_training_that_made,
    because,
    condition,
    deployments,
    is_serving,
)
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.pages import blocks
from support.published import STORE, Client, publish

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "gate.md"


@pytest.fixture(autouse=True)
def store(api: Api, default_class: str) -> None:
    api.apply(a_claim(STORE))


def service_of_the_page(number: int) -> Object:
    """The ModelService in a block of the page, as a service of model `line`."""
    service: Object = yaml.safe_load(blocks(PAGE, "yaml")[number])
    service["metadata"]["name"] = "line"
    service["spec"]["model"]["fromTraining"]["selector"]["matchLabels"] = {"model": "line"}
    return service


def is_refused(service: Object) -> bool:
    return condition(service, "GatePassed").get("status") == "False"


def test_a_version_that_is_worse_than_what_serves_is_refused_and_the_next_good_one_taken(
    api: Api, operator: OperatorProcess
) -> None:
    digests = publish(api, 1, 2, 3)
    service = service_of_the_page(0)
    api.apply(service, a_training_that_made(1, digests[1], val_accuracy=0.9, val_loss=0.4))
    api.wait_for(service, is_serving(1), timeout=SECONDS)

    api.apply(a_training_that_made(2, digests[2], val_accuracy=0.9, val_loss=0.61))
    refused = api.wait_for(service, is_refused, timeout=SECONDS)

    assert (
        "its val_loss is 0.61, more than 0.02 worse than the 0.4 of version 1 of line"
        in (condition(refused, "GatePassed")["message"])
    )
    assert is_serving(1)(refused)
    assert "'line-2'" in api.wait_for_event("line", "GateRefused")["message"]

    api.apply(a_training_that_made(3, digests[3], val_accuracy=0.95, val_loss=0.3))
    api.wait_for(service, is_serving(3), timeout=SECONDS)


def test_going_back_is_one_edit_and_starts_the_pods_of_before(api: Api, operator: OperatorProcess) -> None:
    digests = publish(api, 1, 2)
    pinned = service_of_the_page(3)
    newest: Object = {
        **pinned,
        "spec": {**pinned["spec"], "model": {"fromTraining": pinned["spec"]["model"]["fromTraining"]}},
    }
    api.apply(newest, a_training_that_made(1, digests[1]))
    api.wait_for(newest, is_serving(1), timeout=SECONDS)
    (first,) = deployments(api)
    api.apply(a_training_that_made(2, digests[2]))
    api.wait_for(newest, is_serving(2), timeout=SECONDS)
    api.wait_for(first, lambda old: old["spec"]["replicas"] == 0, timeout=SECONDS)
    api.delete(a_training_that_made(1, digests[1]))
    user = Client(api, "line", "rest")
    user.wait_for(2.0)

    api.apply(pinned)
    back = api.wait_for(pinned, is_serving(1), timeout=SECONDS)

    user.wait_for(1.0)
    _, errors = user.stop()
    assert errors == []
    again = api.get(first)
    assert again is not None
    assert again["metadata"]["uid"] == first["metadata"]["uid"]
    outcomes = [(entry["modelVersion"], entry["outcome"]) for entry in back["status"]["history"]]
    assert outcomes == [(1, "Promoted"), (2, "Superseded"), (1, "Superseded")]
    assert back["status"]["current"]["digest"] == digests[1]


def test_a_version_that_answers_wrongly_gets_no_traffic(api: Api, operator: OperatorProcess) -> None:
    digests = publish(api, 2, 3)
    service, golden = service_of_the_page(1), yaml.safe_load(blocks(PAGE, "yaml")[2])
    api.apply(service, a_training_that_made(2, digests[2]))
    api.wait_for(service, because("CheckInvalid"), timeout=SECONDS)
    assert api.get({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "line"}}) is None

    api.apply(golden)
    api.wait_for(service, is_serving(2), timeout=SECONDS)
    user = Client(api, "line", "rest")
    user.wait_for(2.0)

    api.apply(a_training_that_made(3, digests[3]))
    stopped = api.wait_for(service, because("CheckFailed"), timeout=SECONDS)

    assert "check 'two': at .predictions[0]: expected 4 (within 0.5), got 6" in condition(stopped, "Ready")["message"]
    assert stopped["status"]["current"]["modelVersion"] == 2
    api.wait_for_event("line", "RolloutFailed", containing="CheckFailed")
    user.wait_for(2.0)
    _, errors = user.stop()
    assert errors == []


def test_a_version_with_another_signature_stops_unless_it_is_allowed(api: Api, operator: OperatorProcess) -> None:
    publish(api, 1)
    publish(api, 2, dtype="float64")
    api.apply(a_service(1))
    api.wait_for(a_service(), is_serving(1), timeout=SECONDS)

    other = a_service(2)
    api.apply(other)
    stopped = api.wait_for(other, because("SignatureChanged"), timeout=SECONDS)

    assert "input 'x' was float [-1], and is double [-1]" in condition(stopped, "Ready")["message"]
    assert stopped["status"]["current"]["modelVersion"] == 1

    other["spec"]["model"]["allowSignatureChange"] = True
    api.apply(other)
    api.wait_for(other, is_serving(2), timeout=SECONDS)
