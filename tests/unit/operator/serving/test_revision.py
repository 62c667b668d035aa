from typing import Any

import pytest

from trainyard_api.modelservice import PublicKey
from trainyard_api.pods import Resources
from trainyard_api.server import Server
from trainyard_operator.serving.revision import Fetching, Revision
from trainyard_operator.serving.source import ModelVersion

MODEL = ModelVersion("models", "churn", "1", "sha256:ab")
PUBLIC_KEY = PublicKey.model_validate({"configMapKeyRef": {"name": "keys", "key": "public.pem"}})


def the_id(model: ModelVersion = MODEL, **server: Any) -> str:
    return Revision(model, Server.model_validate(server)).id


def test_the_id_is_eight_hex_digits_and_stays_the_same_across_releases() -> None:
    # A change of this value restarts every serving pod of every user: it is not to be regenerated.
    assert the_id() == "37412dae"


@pytest.mark.parametrize(
    "model",
    [
        ModelVersion("models", "churn", "2", "sha256:ab"),
        ModelVersion("models", "churn", "1", "sha256:cd"),
        ModelVersion("models", "churn", "1"),
        ModelVersion("elsewhere", "churn", "1", "sha256:ab"),
    ],
)
def test_another_model_is_another_revision(model: ModelVersion) -> None:
    assert the_id(model) != the_id()


@pytest.mark.parametrize(
    "server",
    [
        {"image": "tensorflow/serving:2.20.1"},
        {"gpus": 1},
        {"batching": {"maxBatchSize": 8}},
        {"warmupIterations": 1},
        {"threads": {"intra": 1}},
        {"gpuMemoryFraction": 0.5},
        {"extraArgs": ["--enable_profiler=false"]},
        {"resources": {"limits": {"cpu": "2"}}},
        {"template": {"nodeSelector": {"disk": "fast"}}},
        {"template": {"env": [{"name": "A", "value": "1"}]}},
    ],
)
def test_other_settings_of_the_server_are_another_revision(server: dict[str, Any]) -> None:
    assert the_id(**server) != the_id()


def test_another_secret_is_another_revision() -> None:
    assert (
        len({the_id(), Revision(MODEL, Server(), Fetching("one")).id, Revision(MODEL, Server(), Fetching("two")).id})
        == 3
    )


def test_defaults_that_the_api_server_filled_in_change_nothing() -> None:
    filled_in = Server().model_dump(mode="json", by_alias=True)

    assert the_id(**filled_in) == the_id()


def test_who_trained_the_model_changes_nothing() -> None:
    assert the_id(ModelVersion("models", "churn", "1", "sha256:ab", training_job="nightly")) == the_id()


def test_the_order_of_fields_changes_nothing() -> None:
    assert the_id(resources={"requests": {"cpu": "1", "memory": "1Gi"}}) == the_id(
        resources={"requests": {"memory": "1Gi", "cpu": "1"}}
    )


@pytest.mark.parametrize(
    "fetching",
    [
        pytest.param({"any_operation": True}, id="leave to run any operation"),
        pytest.param({"structure": True}, id="no manifest"),
        pytest.param({"public_key": PUBLIC_KEY}, id="a signature"),
        pytest.param({"resources": Resources(limits={"memory": "2Gi"})}, id="resources of the init container"),
    ],
)
def test_another_way_to_fetch_the_model_is_another_revision(fetching: dict[str, Any]) -> None:
    assert Revision(MODEL, Server(), Fetching(**fetching)).id != the_id()
