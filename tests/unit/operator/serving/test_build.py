"""What the pods of a revision look like, and that Kubernetes would take it."""

import copy
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

from support.pod_security import violations
from support.serving import START, a_model_service
from trainyard_api.modelservice import PublicKey
from trainyard_api.pods import Resources
from trainyard_api.server import Server
from trainyard_operator.cluster.compare import covers
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import canary
from trainyard_operator.serving.build import config_map, deployment, scale, stable_service
from trainyard_operator.serving.canary import Canary
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.revision import Fetching, Revision
from trainyard_operator.serving.rollout import Route
from trainyard_operator.serving.source import ModelVersion

OWNER = a_model_service().build()
MODEL = ModelVersion("models", "churn", "7", "sha256:ab", "churn-nightly")
KUBERNETES = "1.29"


def a_deployment(model: ModelVersion = MODEL, *, replicas: int = 1, **server: Any) -> Manifest:
    revision = Revision(model, Server.model_validate(server))
    return deployment(OWNER, revision, replicas=replicas, fetch_images=FetchImages("operator:1", "trainer:1"))


def the_pod(**server: Any) -> Manifest:
    pod: Manifest = a_deployment(**server)["spec"]["template"]
    return pod


def the_server(**server: Any) -> Manifest:
    (container,) = the_pod(**server)["spec"]["containers"]
    return dict(container)


def the_flags(**server: Any) -> dict[str, str]:
    return dict(flag.removeprefix("--").split("=", 1) for flag in the_server(**server)["args"])


FULL: dict[str, Any] = {
    "image": "tensorflow/serving:2.20.0-gpu",
    "gpus": 2,
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}},
    "template": {
        "labels": {"team": "growth"},
        "annotations": {"note": "x", "prometheus.io/scrape": "false"},
        "nodeSelector": {"gpu": "yes"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
        "imagePullSecrets": [{"name": "registry"}],
        "env": [{"name": "TF_CPP_MIN_LOG_LEVEL", "value": "1"}, {"name": "MODEL_NAME", "value": "theirs"}],
    },
}


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(a_deployment, id="deployment"),
        pytest.param(lambda: a_deployment(**FULL), id="deployment with everything"),
        pytest.param(
            lambda: a_deployment(ModelVersion("models", "team/a/churn", "007"), replicas=0), id="deployment at zero"
        ),
        pytest.param(lambda: config_map(OWNER, Revision(MODEL, Server())), id="config map"),
        pytest.param(lambda: stable_service(OWNER, Route("0123abcd", START, "89abcdef")), id="promoted service"),
        pytest.param(lambda: stable_service(OWNER, Route("0123abcd")), id="new service"),
    ],
)
def test_kubernetes_accepts_every_child(build: Callable[[], Manifest]) -> None:
    kubernetes_validate.validate(build(), KUBERNETES, strict=True)


@pytest.mark.parametrize("server", [{}, FULL])
def test_the_pods_satisfy_the_restricted_standard(server: dict[str, Any]) -> None:
    assert violations(the_pod(**server)["spec"]) == []


def test_every_child_goes_with_its_owner_and_is_found_by_its_labels() -> None:
    revision = Revision(MODEL, Server())
    children = [a_deployment(), config_map(OWNER, revision), stable_service(OWNER, Route(revision.id))]

    for child in children:
        metadata = child["metadata"]
        assert [each["uid"] for each in metadata["ownerReferences"]] == ["uid-of-churn"]
        assert (
            metadata["labels"].items()
            >= {
                "app.kubernetes.io/managed-by": "trainyard",
                "trainyard.dev/model-service": "churn",
            }.items()
        )


def test_a_revision_is_named_after_its_service_and_itself() -> None:
    revision = Revision(MODEL, Server())

    assert (
        a_deployment()["metadata"]["name"] == config_map(OWNER, revision)["metadata"]["name"] == f"churn-{revision.id}"
    )


def test_the_selector_names_nothing_that_a_user_or_a_version_may_change() -> None:
    found = a_deployment(**FULL)

    assert set(found["spec"]["selector"]["matchLabels"]) == {"trainyard.dev/model-service", "trainyard.dev/revision"}
    assert found["spec"]["selector"]["matchLabels"].items() <= found["spec"]["template"]["metadata"]["labels"].items()


def test_the_service_selects_the_pods_of_the_revision_on_its_route() -> None:
    revision = Revision(MODEL, Server())

    service = stable_service(OWNER, Route(revision.id))

    assert service["spec"]["selector"].items() <= the_pod()["metadata"]["labels"].items()
    ports = {port["name"]: (port["port"], port["targetPort"], port["appProtocol"]) for port in service["spec"]["ports"]}
    assert ports == {"grpc": (8500, "grpc", "kubernetes.io/h2c"), "http": (8501, "http", "http")}


def test_when_the_traffic_was_earned_is_written_together_with_where_it_goes() -> None:
    assert stable_service(OWNER, Route("b", START, "a"))["metadata"]["annotations"] == {
        "trainyard.dev/promoted": "2026-11-23T10:00:00Z",
        "trainyard.dev/previous-revision": "a",
        "trainyard.dev/canary": "",
        "trainyard.dev/rolled-back": "",
        "trainyard.dev/rollout-order": "",
        "trainyard.dev/rollout-obeyed": "",
        "trainyard.dev/rollout-progress": "",
    }
    assert stable_service(OWNER, Route("a"))["metadata"]["annotations"] == {
        "trainyard.dev/canary": "",
        "trainyard.dev/rolled-back": "",
        "trainyard.dev/rollout-order": "",
        "trainyard.dev/rollout-obeyed": "",
        "trainyard.dev/rollout-progress": "",
    }


@pytest.mark.parametrize(
    ("alone", "selector"),
    [
        pytest.param(False, {"app.kubernetes.io/managed-by": "trainyard"}, id="both revisions"),
        pytest.param(True, {"trainyard.dev/revision": "b"}, id="the canary alone"),
    ],
)
def test_a_canary_and_whom_requests_go_to_are_one_write(alone: bool, selector: dict[str, str]) -> None:
    route = Route("a", START, canary=Canary(revision="b", step=1, since=START, reached=START, alone=alone))

    service = stable_service(OWNER, route)

    assert service["spec"]["selector"] == {"trainyard.dev/model-service": "churn"} | selector
    assert canary.read(service["metadata"]["annotations"]["trainyard.dev/canary"]) == ("a", route.canary)


def test_a_service_of_an_operator_that_knew_no_canary_is_left_as_it_is() -> None:
    service = stable_service(OWNER, Route("b", START, "a"))
    older = copy.deepcopy(service)
    del older["metadata"]["annotations"]["trainyard.dev/canary"]
    for key in ("rolled-back", "rollout-order", "rollout-obeyed", "rollout-progress"):
        del older["metadata"]["annotations"][f"trainyard.dev/{key}"]

    assert covers(older, service)


def test_the_init_container_brings_the_version_and_checks_its_digest() -> None:
    (fetch,) = the_pod()["spec"]["initContainers"]

    assert fetch["image"] == "operator:1"
    assert fetch["command"] == ["python", "-m", "trainyard_fetcher"]
    assert fetch["args"] == [
        "--source", "/trainyard/store/churn/7", "--target", "/models/churn/7", "--digest", "sha256:ab",
    ]  # fmt: skip


def test_from_a_store_the_trainers_image_brings_the_version_and_the_server_never_sees_the_credentials() -> None:
    model = ModelVersion("s3://lake", "prod/churn", "7", "sha256:ab")
    found = deployment(
        OWNER,
        Revision(model, Server(), Fetching("s3")),
        replicas=1,
        fetch_images=FetchImages("operator:1", "trainer:1"),
    )
    kubernetes_validate.validate(found, KUBERNETES, strict=True)
    pod = found["spec"]["template"]["spec"]
    (fetch,) = pod["initContainers"]
    (server,) = pod["containers"]

    assert violations(pod) == []
    assert (fetch["image"], fetch["command"][-1]) == ("trainer:1", "trainyard_trainer.fetch")
    assert fetch["args"] == [
        "--source", "s3://lake/prod/churn/7", "--target", "/models/churn/7", "--digest", "sha256:ab",
    ]  # fmt: skip
    assert {"name": "store", "secret": {"secretName": "s3", "defaultMode": 0o440}} in pod["volumes"]
    mount = next(each for each in fetch["volumeMounts"] if each["name"] == "store")
    assert {"name": "TRAINYARD_STORE_SECRET_DIR", "value": mount["mountPath"]} in fetch["env"]
    assert "store" not in [each["name"] for each in server["volumeMounts"]]


def test_a_server_may_have_an_account_that_its_store_knows() -> None:
    pod = the_pod(template={"serviceAccountName": "models-reader"})["spec"]

    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("models-reader", False)
    assert "serviceAccountName" not in the_pod()["spec"]


def test_a_store_without_a_secret_needs_no_volume() -> None:
    pod = a_deployment(ModelVersion("gs://lake", "churn", "7"))["spec"]["template"]["spec"]

    assert "store" not in [each["name"] for each in pod["volumes"]]


def test_without_a_digest_none_is_asked_for() -> None:
    pod = a_deployment(ModelVersion("models", "team/churn", "0042"))["spec"]["template"]
    (fetch,) = pod["spec"]["initContainers"]

    # TensorFlow Serving takes any spelling of the number; the store has the one in the URI.
    assert fetch["args"] == ["--source", "/trainyard/store/team/churn/0042", "--target", "/models/churn/42"]
    assert pod["metadata"]["labels"]["trainyard.dev/model-version"] == "42"
    assert "trainyard.dev/model" not in pod["metadata"]["labels"]


def test_the_server_cannot_reach_the_store() -> None:
    mounts = {mount["name"]: mount.get("readOnly", False) for mount in the_server()["volumeMounts"]}

    assert mounts == {"models": True, "config": True, "tmp": False}


def test_the_server_finds_its_one_model_and_exposes_metrics() -> None:
    environment = {each["name"]: each["value"] for each in the_server()["env"]}

    assert environment == {"MODEL_NAME": "churn", "MODEL_BASE_PATH": "/models"}
    assert the_flags()["monitoring_config_file"] == "/etc/trainyard/serving/monitoring.config"
    text = config_map(OWNER, Revision(MODEL, Server()))["data"]["monitoring.config"]
    assert text == 'prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }\n'
    assert the_pod()["metadata"]["annotations"]["prometheus.io/path"] in text


@pytest.mark.parametrize(("limit", "cores"), [("2", "2"), ("500m", "1"), ("1500m", "2"), (4, "4"), ("1e1", "10")])
def test_thread_pools_are_sized_by_the_cpu_limit(limit: str | int, cores: str) -> None:
    flags = the_flags(resources={"limits": {"cpu": limit}})

    assert flags["tensorflow_intra_op_parallelism"] == flags["tensorflow_inter_op_parallelism"] == cores
    assert flags["rest_api_num_threads"] == flags["grpc_max_threads"] == str(4 * int(cores))


@pytest.mark.parametrize("resources", [{}, {"requests": {"cpu": "2"}}, {"limits": {"memory": "1Gi"}}])
def test_without_a_cpu_limit_the_server_decides(resources: dict[str, Any]) -> None:
    assert not any("threads" in name or "parallelism" in name for name in the_flags(resources=resources))


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({"warmupIterations": 3}, {"num_request_iterations_for_warmup": "3"}),
        ({"gpuMemoryFraction": 0.25}, {"per_process_gpu_memory_fraction": "0.25"}),
        ({"threads": {"intra": 2}}, {"tensorflow_intra_op_parallelism": "2"}),
        (
            {"threads": {"inter": 3}, "resources": {"limits": {"cpu": "2"}}},
            {"tensorflow_inter_op_parallelism": "3", "tensorflow_intra_op_parallelism": "2"},
        ),
        (
            {"extraArgs": ["--rest_api_num_threads=7"], "resources": {"limits": {"cpu": "2"}}},
            {"rest_api_num_threads": "7", "grpc_max_threads": "8"},
        ),
        (
            {"batching": {"maxBatchSize": 8}},
            {"enable_batching": "true", "batching_parameters_file": "/etc/trainyard/serving/batching.config"},
        ),
    ],
)
def test_fields_of_the_server_are_flags(fields: dict[str, Any], flags: dict[str, str]) -> None:
    assert flags.items() <= the_flags(**fields).items()
    args = the_server(**fields)["args"]
    assert len({arg.partition("=")[0] for arg in args}) == len(args)


def test_fields_that_are_not_set_are_no_flags() -> None:
    assert not {"enable_batching", "num_request_iterations_for_warmup", "per_process_gpu_memory_fraction"} & set(
        the_flags()
    )


def test_how_to_batch_is_in_the_config_map_of_the_revision() -> None:
    batching = {"maxBatchSize": 8, "timeout": "2ms", "threads": 3, "allowedSizes": [8, 2], "queueLength": 5}
    made = config_map(OWNER, Revision(MODEL, Server.model_validate({"batching": batching})))

    assert made["data"]["batching.config"] == (
        "max_batch_size { value: 8 }\n"
        "batch_timeout_micros { value: 2000 }\n"
        "num_batch_threads { value: 3 }\n"
        "max_enqueued_batches { value: 5 }\n"
        "allowed_batch_sizes: 2\n"
        "allowed_batch_sizes: 8\n"
    )
    assert list(config_map(OWNER, Revision(MODEL, Server()))["data"]) == ["monitoring.config"]


@pytest.mark.parametrize(("timeout", "micros"), [("0ms", 0), ("15us", 15), ("2ms", 2000), ("3s", 3_000_000)])
def test_timeouts_of_batches_are_in_microseconds(timeout: str, micros: int) -> None:
    server = Server.model_validate({"batching": {"maxBatchSize": 1, "timeout": timeout}})
    made = config_map(OWNER, Revision(MODEL, server))

    assert f"batch_timeout_micros {{ value: {micros} }}" in made["data"]["batching.config"]


def test_gpus_are_requested_and_limited_alike() -> None:
    assert the_server(**FULL)["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "2"},
        "limits": {"cpu": "2", "memory": "2Gi", "nvidia.com/gpu": "2"},
    }
    assert the_server(gpus=1, gpuResource="amd.com/gpu")["resources"]["limits"] == {"amd.com/gpu": "1"}
    assert the_server()["resources"] == {}


def test_the_users_part_of_the_template_reaches_the_pod_but_not_over_ours() -> None:
    pod = the_pod(**FULL)

    assert pod["metadata"]["labels"]["team"] == "growth"
    assert pod["metadata"]["annotations"]["note"] == "x"
    assert pod["metadata"]["annotations"]["prometheus.io/scrape"] == "false"
    assert pod["spec"]["nodeSelector"] == {"gpu": "yes"}
    assert pod["spec"]["runtimeClassName"] == "nvidia"
    environment = {each["name"]: each["value"] for each in the_server(**FULL)["env"]}
    assert environment == {"TF_CPP_MIN_LOG_LEVEL": "1", "MODEL_NAME": "churn", "MODEL_BASE_PATH": "/models"}


def test_a_pod_goes_on_serving_while_the_news_of_its_end_spreads() -> None:
    spec, server = the_pod()["spec"], the_server()

    pause = server["lifecycle"]["preStop"]["sleep"]["seconds"]
    age = int(the_flags()["grpc_channel_arguments"].removeprefix("grpc.max_connection_age_ms=")) / 1000
    # A connection may live a tenth longer than its age.
    assert 1.1 * age < pause < spec["terminationGracePeriodSeconds"]


def test_pods_are_replaced_without_an_unavailable_moment() -> None:
    rolling = a_deployment()["spec"]["strategy"]["rollingUpdate"]

    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}
    assert a_deployment()["spec"]["progressDeadlineSeconds"] > the_server()["startupProbe"]["failureThreshold"]


def test_scaling_names_the_replicas_and_nothing_else() -> None:
    live = a_deployment() | {"status": {"replicas": 1}}

    assert scale(live, 3) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": live["metadata"]["name"], "namespace": "team"},
        "spec": {"replicas": 3},
    }


@pytest.mark.parametrize(
    ("reference", "volume"),
    [
        pytest.param("configMapKeyRef", {"configMap": {"name": "keys"}}, id="of a ConfigMap"),
        pytest.param("secretKeyRef", {"secret": {"secretName": "keys"}}, id="of a Secret"),
    ],
)
def test_a_signature_is_verified_by_the_image_that_can_with_the_key(reference: str, volume: dict[str, Any]) -> None:
    key = PublicKey.model_validate({reference: {"name": "keys", "key": "team.pem"}})
    revision = Revision(MODEL, Server(), Fetching(public_key=key))

    found = deployment(OWNER, revision, replicas=1, fetch_images=FetchImages("operator:1", "trainer:1"))

    kubernetes_validate.validate(found, KUBERNETES, strict=True)
    pod = found["spec"]["template"]["spec"]
    (fetch,) = pod["initContainers"]
    assert (fetch["image"], fetch["command"][-1]) == ("trainer:1", "trainyard_trainer.fetch")
    path = fetch["args"][fetch["args"].index("--public-key") + 1]
    (mounted,) = [mount for mount in fetch["volumeMounts"] if path.startswith(mount["mountPath"])]
    (source,) = [each for each in pod["volumes"] if each["name"] == mounted["name"]]
    (kind,) = volume
    assert source[kind].items() >= volume[kind].items()
    assert source[kind]["items"] == [{"key": "team.pem", "path": path.rpartition("/")[2]}]


def test_a_model_without_a_manifest_is_fetched_by_its_structure() -> None:
    revision = Revision(MODEL, Server(), Fetching(structure=True))
    made = deployment(OWNER, revision, replicas=1, fetch_images=FetchImages("operator:1", "trainer:1"))
    (fetch,) = made["spec"]["template"]["spec"]["initContainers"]

    assert "--structure" in fetch["args"]
    assert fetch["image"] == "operator:1"
    assert "--structure" not in the_pod()["spec"]["initContainers"][0]["args"]


def test_the_init_container_has_the_limits_that_a_quota_asks_for_or_those_of_the_spec() -> None:
    def fetch_of(revision: Revision) -> dict[str, Any]:
        found = deployment(OWNER, revision, replicas=1, fetch_images=FetchImages("operator:1", "trainer:1"))
        container: dict[str, Any] = found["spec"]["template"]["spec"]["initContainers"][0]
        return container

    own = Resources(limits={"memory": "4Gi"})

    assert fetch_of(Revision(MODEL, Server()))["resources"]["limits"].keys() == {"cpu", "memory"}
    assert fetch_of(Revision(MODEL, Server(), Fetching(resources=own)))["resources"] == {"limits": {"memory": "4Gi"}}


@pytest.mark.parametrize(
    ("server", "image"),
    [
        pytest.param({}, "tensorflow/serving:2.20.0", id="no GPU"),
        pytest.param({"gpus": 1}, "tensorflow/serving:2.20.0-gpu", id="a GPU"),
        pytest.param({"gpus": 1, "image": "mine:1"}, "mine:1", id="an image of the service's own"),
    ],
)
def test_a_service_with_gpus_gets_the_image_that_can_use_them(server: dict[str, Any], image: str) -> None:
    revision = Revision(MODEL, Server.model_validate(server))

    pod = deployment(OWNER, revision, replicas=1, fetch_images=FetchImages("operator:1", "trainer:1"))
    spec = pod["spec"]["template"]["spec"]

    assert spec["containers"][0]["image"] == image
    assert [each["key"] for each in spec.get("tolerations", [])] == ["nvidia.com/gpu"] * server.get("gpus", 0)
