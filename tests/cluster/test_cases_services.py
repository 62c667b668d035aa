"""Services that must not lose what they serve, wait in silence, or hang the operator."""

import pytest
from kubernetes.dynamic.exceptions import DynamicApiError

from cluster.test_modelservice import SECONDS, a_service, a_training_that_made, because, condition, is_serving
from cluster.test_trainingjob import in_phase
from support.kube_api import Api, Object
from support.manifests import SHELL_IMAGE, a_claim
from support.operator_process import OperatorProcess
from support.published import STORE, TRAINER_IMAGE, publish

pytestmark = pytest.mark.usefixtures("cluster_crds")

FOLLOWING: Object = {"fromTraining": {"selector": {"matchLabels": {"model": "line"}}}}


@pytest.fixture(autouse=True)
def store(api: Api, default_class: str) -> None:
    api.apply(a_claim(STORE))


@pytest.mark.usefixtures("trainyard_images", "pods_in_reach")
def test_deleting_the_job_of_the_model_that_serves_does_not_bring_an_older_one_back(
    api: Api, operator: OperatorProcess
) -> None:
    digests = publish(api, 1, 2)
    old, new = (a_training_that_made(version, digests[version]) for version in (1, 2))
    service = a_service(model=FOLLOWING)
    api.apply(old, service)
    api.wait_for(old, in_phase("Succeeded"))
    api.apply(new)
    served = api.wait_for(service, is_serving(2), timeout=SECONDS)["status"]["current"]

    api.delete(new)
    api.wait_until_gone(new)
    api.patch(service, {"metadata": {"labels": {"poke": "1"}}})
    scaled = a_service(model=FOLLOWING, replicas=2)
    api.apply(scaled)

    after = api.wait_for(scaled, is_serving(2, replicas=2), timeout=SECONDS)["status"]["current"]
    assert (after["revision"], after["uri"]) == (served["revision"], served["uri"])


@pytest.mark.usefixtures("trainyard_images", "pods_in_reach")
def test_a_rollout_without_gpus_to_spare_says_who_holds_them(api: Api, operator: OperatorProcess, gpus: int) -> None:
    publish(api, 1, 2)
    api.apply(a_service(server={"gpus": gpus}))
    api.wait_for(a_service(), is_serving(1), timeout=SECONDS)

    service = a_service(2, server={"gpus": gpus})
    api.apply(service)

    stuck = api.wait_for(service, because("InsufficientGPU"), timeout=SECONDS)
    assert f"which serve, hold {gpus} nvidia.com/gpu" in condition(stuck, "Ready")["message"]
    assert stuck["status"]["current"]["modelVersion"] == 1


@pytest.mark.parametrize("cpu", ["1e999999", "1e5000", "1e4000", "-1"])
def test_a_quantity_that_nobody_can_compute_with_is_refused_at_once(api: Api, cpu: str) -> None:
    with pytest.raises(DynamicApiError) as refused:
        api.create(a_service(server={"resources": {"limits": {"cpu": cpu}}}))
    assert refused.value.status == 422
    assert "spec.server.resources.limits" in str(refused.value.body)


@pytest.mark.parametrize("key", ["my model", "a/b/c", "-a"])
def test_a_label_key_that_is_none_is_refused_at_once(api: Api, key: str) -> None:
    with pytest.raises(DynamicApiError) as refused:
        api.create(a_service(model={"fromTraining": {"selector": {"matchLabels": {key: "churn"}}}}))
    assert refused.value.status == 422
    assert "matchLabels" in str(refused.value.body)


@pytest.mark.usefixtures("trainyard_images", "pods_in_reach")
def test_pods_that_train_together_get_a_policy_that_shuts_all_others_out(api: Api, operator: OperatorProcess) -> None:
    job = a_training_that_made(1, "sha256:" + "ab" * 32)
    command = ["sh", "-c", "sleep 600"]
    job["spec"]["program"] = {"container": {"image": SHELL_IMAGE, "command": command}}
    job["spec"]["roles"] = {"worker": {"replicas": 2}}
    api.apply(job)
    api.wait_for(job, in_phase("Running"))

    (policy,) = api.list("networking.k8s.io/v1", "NetworkPolicy")

    pods = policy["spec"]["podSelector"]
    assert len(api.list("v1", "Pod", label_selector=",".join(f"{k}={v}" for k, v in pods["matchLabels"].items()))) == 2
    own, numbers = policy["spec"]["ingress"]
    assert own == {"from": [{"podSelector": pods}]}
    assert [port["port"] for port in numbers["ports"]] == [8080]


_READS_FILES = """
import hashlib, json, pathlib
import tensorflow as tf

class Reader(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
    def predict(self, x):
        return {"y": tf.map_fn(tf.io.read_file, x)}

folder = pathlib.Path("/trainyard/store/line/1")
reader = Reader()
tf.saved_model.save(reader, str(folder), signatures={"serving_default": reader.predict})
files = [
    {"path": str(path.relative_to(folder)), "size": path.stat().st_size,
     "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    for path in sorted(folder.rglob("*")) if path.is_file()
]
content = json.dumps({"kind": "ModelManifest", "name": "line", "version": 1, "files": files}).encode()
(folder / "trainyard.json").write_bytes(content)
"""


@pytest.mark.usefixtures("trainyard_images", "pods_in_reach")
def test_a_model_that_reads_files_is_refused_by_the_name_of_what_it_does(api: Api, operator: OperatorProcess) -> None:
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "publisher"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "main",
                    "image": TRAINER_IMAGE,
                    "command": ["python3", "-c", _READS_FILES],
                    "volumeMounts": [{"name": "store", "mountPath": "/trainyard/store"}],
                }
            ],
            "volumes": [{"name": "store", "persistentVolumeClaim": {"claimName": STORE}}],
        },
    }
    api.apply(pod)
    api.wait_for(pod, lambda live: live["status"].get("phase") == "Succeeded", timeout=SECONDS, description="it ended")

    api.apply(a_service())

    refused = api.wait_for(
        a_service(), lambda live: condition(live, "Degraded").get("status") == "True", description="it is refused",
        timeout=SECONDS,
    )  # fmt: skip
    assert "ReadFile" in condition(refused, "Ready")["message"]
    assert "allowAnyOperation" in condition(refused, "Ready")["message"]
