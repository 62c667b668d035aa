import json
import re
from typing import Any

import kubernetes_validate
import pytest

from support.pod_security import violations
from support.training import TrainingJobBuilder, a_training_job
from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import build
from trainyard_operator.training.pod import TrainerImages
from trainyard_operator.training.spec import parse

IMAGES = TrainerImages(cpu="trainer:test", cuda="trainer:test-gpu")


def parsed(builder: TrainingJobBuilder) -> TrainingJob:
    job = parse(builder.build(), TrainingJobStatus())
    assert isinstance(job, TrainingJob), job
    return job


def job_of(builder: TrainingJobBuilder, attempt: int = 0) -> Manifest:
    return build.attempt_job(parsed(builder), builder.build(), attempt, trainer_images=IMAGES)


def pod_of(builder: TrainingJobBuilder) -> Manifest:
    pod: Manifest = job_of(builder)["spec"]["template"]["spec"]
    return pod


def container_of(builder: TrainingJobBuilder) -> Manifest:
    container: Manifest = pod_of(builder)["containers"][0]
    return container


def env_of(builder: TrainingJobBuilder) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container_of(builder)["env"]}


EVERYTHING = (
    a_training_job()
    .with_gpus(2)
    .with_run_policy(attemptDeadline="1h", suspend=True)
    .with_worker(
        gpus=2,
        resources={"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"memory": "8Gi"}},
        template={
            "labels": {"team": "risk"},
            "annotations": {"note": "x"},
            "nodeSelector": {"zone": "a"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "high",
            "runtimeClassName": "nvidia",
            "serviceAccountName": "lake-reader",
            "imagePullSecrets": [{"name": "pull"}],
            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        },
    )
)
VARIANTS = {
    "plain": a_training_job(),
    "everything": EVERYTHING,
    "uri": a_training_job().with_data(uri="/data/rows.csv"),
    "whole config map": a_training_job().with_data(configMap={"name": "rows"}),
    "claim": a_training_job().with_data(persistentVolumeClaim={"claimName": "lake", "path": "churn/"}),
    "the store's claim": a_training_job().with_data(persistentVolumeClaim={"claimName": "models", "path": "in.csv"}),
    "signed": a_training_job().with_spec(
        output={
            "store": {"persistentVolumeClaim": {"claimName": "models"}},
            "signing": {"secretKeyRef": {"name": "keys", "key": "churn.pem"}},
        }
    ),
    "store": a_training_job()
    .with_data(uri="s3://lake/churn/", secretRef={"name": "lake"})
    .with_spec(output={"store": {"uri": "s3://models/prod/", "secretRef": {"name": "models"}}}),
    "python": a_training_job().with_python(source={"configMap": {"name": "modules"}}),
    "several": a_training_job().with_worker(replicas=3),
    "queued": a_training_job()
    .with_run_policy(queueName="gpu")
    .with_spec(metadata={"labels": {"cost-center": "7"}, "annotations": {"karpenter.sh/do-not-disrupt": "true"}}),
    "devices": a_training_job().with_worker(
        gpus=1,
        gpuProduct="NVIDIA-H200",
        topologyKey="topology.kubernetes.io/zone",
        sharedMemory="8Gi",
        template={"schedulerName": "volcano", "resourceClaims": [{"name": "nic", "resourceClaimTemplateName": "fast"}]},
    ),
    "predict": a_training_job().with_spec(program={"predict": {"model": {"uri": "pvc://archive/team/trained/4"}}}),
    "container": a_training_job().with_container(image="me/train:1", command=["python"], args=["train.py"]),
}


@pytest.mark.parametrize("version", ["1.29", "1.36"])
@pytest.mark.parametrize("builder", VARIANTS.values(), ids=VARIANTS)
def test_every_child_is_valid_kubernetes_and_its_pod_is_restricted(builder: TrainingJobBuilder, version: str) -> None:
    job, owner = parsed(builder), builder.build()
    children = [
        build.spec_config_map(job, owner),
        build.headless_service(job, owner),
        build.attempt_job(job, owner, 0, trainer_images=IMAGES),
    ]

    # Before 1.31 dynamic resource allocation was alpha, and had another form.
    version = "1.31" if builder is VARIANTS["devices"] and version == "1.29" else version
    for child in children:
        kubernetes_validate.validate(child, version, strict=True)
        assert child["metadata"]["ownerReferences"][0]["uid"] == "uid-of-churn"
        assert child["metadata"]["labels"]["trainyard.dev/training-job"] == "churn"
    assert violations(children[-1]["spec"]["template"]["spec"]) == []


def test_the_job_tries_once_and_leaves_trying_again_to_the_operator() -> None:
    spec = job_of(a_training_job())["spec"]

    assert (spec["backoffLimit"], spec["completions"], spec["completionMode"]) == (0, 1, "Indexed")
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["FailJob", "Ignore"]
    assert spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2, 3]
    assert "activeDeadlineSeconds" not in spec


def test_the_pods_of_a_training_fail_together_also_for_a_disruption_of_one() -> None:
    spec = job_of(VARIANTS["several"])["spec"]

    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 3, 3)
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["FailJob", "FailJob"]
    assert spec["podFailurePolicy"]["rules"][1]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]


def test_several_pods_find_each_other_by_tf_config_and_one_alone_has_none() -> None:
    job = job_of(VARIANTS["several"], attempt=2)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    index, config = container["env"][-2:]

    # What the kubelet does: the index stands before what refers to it.
    assert index["valueFrom"]["fieldRef"]["fieldPath"] == (
        "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    )
    assert json.loads(config["value"].replace(f"$({index['name']})", "1")) == {
        "cluster": {"worker": [f"churn-worker-2-{each}.churn-training.team.svc:{2222 + each}" for each in range(3)]},
        "task": {"type": "worker", "index": 1},
    }
    assert {"name": "worker-1", "containerPort": 2223, "protocol": "TCP"} in container["ports"]
    assert not {"TF_CONFIG", "TRAINYARD_WORKER_INDEX"} & env_of(VARIANTS["plain"]).keys()
    assert [port["name"] for port in container_of(VARIANTS["plain"])["ports"]] == ["http"]


@pytest.mark.parametrize("variant", ["several", "servers"])
def test_tf_config_is_the_same_in_all_attempts_but_for_the_host_names_of_the_attempt(variant: str) -> None:
    builder = VARIANTS["several"] if variant == "several" else a_training_job().with_spec(roles={"ps": {"replicas": 2}})

    def config(attempt: int) -> str:
        (container,) = job_of(builder, attempt=attempt)["spec"]["template"]["spec"]["containers"]
        return str(container["env"][-1]["value"])

    assert config(7) == re.sub(r"churn-(worker|chief|ps)-0-", r"churn-\1-7-", config(0))
    assert config(7) != config(0)


def test_a_variable_of_the_users_own_does_not_take_tf_config_from_where_the_index_is_known() -> None:
    own = [{"name": "TF_CONFIG", "value": "{}"}, {"name": "KEY", "value": "1"}]

    several = container_of(a_training_job().with_worker(replicas=2, template={"env": own}))["env"]
    alone = env_of(a_training_job().with_worker(template={"env": own}))

    assert [each["name"] for each in several[-2:]] == ["TRAINYARD_WORKER_INDEX", "TF_CONFIG"]
    assert [each["name"] for each in several].count("TF_CONFIG") == 1
    assert (alone["TF_CONFIG"], alone["KEY"]) == ("{}", "1")


def test_the_pod_gets_no_token_time_to_save_and_a_place_to_write() -> None:
    pod = pod_of(a_training_job())

    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] == 60
    assert {"name": "tmp", "mountPath": "/tmp"} in pod["containers"][0]["volumeMounts"]
    assert pod["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_names_and_labels_follow_from_the_job_and_the_attempt() -> None:
    job = job_of(a_training_job(), attempt=3)

    assert job["metadata"]["name"] == "churn-worker-3"
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "trainyard",
        "app.kubernetes.io/name": "trainyard-training",
        "app.kubernetes.io/component": "training",
        "trainyard.dev/training-job": "churn",
        "trainyard.dev/model": "churn",
        "trainyard.dev/role": "worker",
        "trainyard.dev/attempt": "3",
    }


def test_the_trainer_is_told_where_everything_is() -> None:
    assert env_of(a_training_job().with_spec(modelName="risk")) == {
        "HOME": "/tmp",
        "KERAS_HOME": "/tmp/keras",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TRAINYARD_SPEC": "/etc/trainyard/spec/spec.json",
        "TRAINYARD_MODEL_DIR": "/trainyard/store/risk",
        "TRAINYARD_CHECKPOINT_DIR": "/trainyard/store/risk/.training/uid-of-churn/checkpoints",
        "TRAINYARD_LOG_DIR": "/trainyard/store/risk/.training/uid-of-churn/logs",
        "TRAINYARD_IMAGE": "trainer:test",
        "TRAINYARD_PORT": "8080",
        "TRAINYARD_TERMINATION_MESSAGE_PATH": "/dev/termination-log",
        "TRAINYARD_DATA_DIR": "/trainyard/data/rows.csv",
    }


@pytest.mark.parametrize(
    ("variant", "path", "volume"),
    [
        ("plain", "/trainyard/data/rows.csv", "data"),
        ("whole config map", "/trainyard/data", "data"),
        ("claim", "/trainyard/data/churn", "data"),
        ("the store's claim", "/trainyard/data/in.csv", "store"),
        ("uri", None, None),
    ],
)
def test_the_data_is_mounted_read_only_where_the_trainer_looks(
    variant: str, path: str | None, volume: str | None
) -> None:
    mounts = {each["mountPath"]: each for each in container_of(VARIANTS[variant])["volumeMounts"]}

    assert env_of(VARIANTS[variant]).get("TRAINYARD_DATA_DIR") == path
    mount = mounts.get("/trainyard/data")
    assert (mount and (mount["name"], mount["readOnly"])) == (volume and (volume, True))


def test_the_signing_key_is_mounted_read_only_and_alone() -> None:
    mounts = {each["name"]: each for each in container_of(VARIANTS["signed"])["volumeMounts"]}
    (volume,) = [each for each in pod_of(VARIANTS["signed"])["volumes"] if each["name"] == "signing"]

    assert mounts["signing"] == {"name": "signing", "mountPath": "/etc/trainyard/signing", "readOnly": True}
    assert env_of(VARIANTS["signed"])["TRAINYARD_SIGNING_KEY"] == "/etc/trainyard/signing/private.pem"
    assert volume["secret"] == {
        "secretName": "keys",
        "items": [{"key": "churn.pem", "path": "private.pem"}],
        "defaultMode": 0o440,
    }


def test_the_modules_of_a_program_are_mounted_read_only() -> None:
    mounts = {each["name"]: each for each in container_of(VARIANTS["python"])["volumeMounts"]}

    assert mounts["code"] == {"name": "code", "mountPath": "/etc/trainyard/code", "readOnly": True}
    assert env_of(VARIANTS["python"])["TRAINYARD_CODE_DIR"] == "/etc/trainyard/code"
    assert {"name": "code", "configMap": {"name": "modules"}} in pod_of(VARIANTS["python"])["volumes"]


def test_a_program_from_an_image_runs_in_it_and_one_from_git_in_the_trainers() -> None:
    from_git = {"git": {"url": "https://host/team/models", "commit": "ab" * 20}}

    assert container_of(a_training_job().with_python(source={"image": "me/churn:1"}))["image"] == "me/churn:1"
    assert container_of(a_training_job().with_python(source=from_git))["image"] == "trainer:test"


def test_gpus_are_limits_and_equal_requests_and_are_not_hidden() -> None:
    builder = a_training_job().with_worker(
        gpus=2, gpuResource="amd.com/gpu", resources={"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}}
    )

    assert container_of(builder)["resources"] == {
        "requests": {"cpu": "1", "amd.com/gpu": "2"},
        "limits": {"memory": "1Gi", "amd.com/gpu": "2"},
    }
    assert "CUDA_VISIBLE_DEVICES" not in env_of(builder)


def test_the_users_variables_win_over_defaults_and_never_over_the_contract() -> None:
    own = [{"name": "HOME", "value": "/home/me"}, {"name": "TRAINYARD_PORT", "value": "1"}]

    env = env_of(a_training_job().with_worker(template={"env": own}))

    assert (env["HOME"], env["TRAINYARD_PORT"]) == ("/home/me", "8080")
    assert len(env) == len(container_of(a_training_job())["env"])


def test_the_users_labels_never_win_over_ours() -> None:
    builder = a_training_job().with_worker(template={"labels": {"team": "risk", "trainyard.dev/role": "boss"}})

    labels = job_of(builder)["spec"]["template"]["metadata"]["labels"]

    assert (labels["team"], labels["trainyard.dev/role"]) == ("risk", "worker")


def test_a_program_of_the_users_own_brings_its_image_and_command() -> None:
    container = container_of(VARIANTS["container"])

    assert (container["image"], container["command"], container["args"]) == ("me/train:1", ["python"], ["train.py"])


def test_the_trainers_image_can_be_overridden_for_one_job() -> None:
    assert container_of(a_training_job())["image"] == "trainer:test"
    assert container_of(a_training_job().with_worker(image="mine:2"))["image"] == "mine:2"


def test_the_spec_is_written_out_with_every_default_and_without_the_run_policy() -> None:
    builder = a_training_job().with_run_policy(maxRestarts=7)

    document = json.loads(build.spec_config_map(parsed(builder), builder.build())["data"]["spec.json"])

    assert document["metadata"] == {"name": "churn", "namespace": "team", "uid": "uid-of-churn"}
    assert document["spec"]["fit"]["optimizer"] == {"name": "adam"}
    assert "runPolicy" not in document["spec"]
    assert TrainingJob.model_validate(document).model_name == "churn"


def test_the_service_gives_names_to_pods_that_are_not_ready() -> None:
    builder = a_training_job()

    spec = build.headless_service(parsed(builder), builder.build())["spec"]

    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert pod_of(builder)["subdomain"] == "churn-training"
    assert [port["name"] for port in spec["ports"]] == ["http"]
    several = VARIANTS["several"]
    ports = build.headless_service(parsed(several), several.build())["spec"]["ports"]
    assert [port["port"] for port in ports] == [8080, 2222, 2223, 2224]


def test_credentials_are_files_that_only_the_program_reads_and_no_variables() -> None:
    pod, env = pod_of(VARIANTS["store"]), env_of(VARIANTS["store"])
    volumes = {each["name"]: each for each in pod["volumes"]}
    mounts = {each["mountPath"]: (each["name"], each.get("readOnly")) for each in pod["containers"][0]["volumeMounts"]}

    assert volumes["data-secret"]["secret"] == {"secretName": "lake", "defaultMode": 0o440}
    assert volumes["store-secret"]["secret"] == {"secretName": "models", "defaultMode": 0o440}
    assert mounts[env["TRAINYARD_DATA_SECRET_DIR"]] == ("data-secret", True)
    assert mounts[env["TRAINYARD_STORE_SECRET_DIR"]] == ("store-secret", True)
    assert "envFrom" not in pod["containers"][0]
    assert not any("SECRET" in name for name in env_of(VARIANTS["plain"]))


def test_a_workload_may_be_known_by_its_account_and_gets_no_token_of_the_api_server() -> None:
    pod = pod_of(EVERYTHING)

    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("lake-reader", False)
    assert "serviceAccountName" not in pod_of(VARIANTS["plain"])


def test_work_for_a_store_that_is_no_volume_is_done_on_the_pods_own_disk() -> None:
    pod = pod_of(VARIANTS["store"])

    assert {"name": "store", "emptyDir": {}} in pod["volumes"]
    assert {"name": "store", "mountPath": "/trainyard/store"} in pod["containers"][0]["volumeMounts"]
    assert env_of(VARIANTS["store"])["TRAINYARD_MODEL_DIR"] == "/trainyard/store/churn"


def test_validation_rows_may_be_another_key_of_the_config_map() -> None:
    data = {"label": "churned", "source": {"configMap": {"name": "rows", "key": "t.csv"}}}

    def mounted(**more: Any) -> Manifest:
        pod = pod_of(a_training_job().with_spec(data=data | more))
        (found,) = [each["configMap"] for each in pod["volumes"] if each["name"] == "data"]
        return dict(found)

    assert mounted() == {"name": "rows", "items": [{"key": "t.csv", "path": "t.csv"}]}
    assert mounted(validation={"uri": "v.csv"}) == {"name": "rows"}


def test_pods_that_train_together_are_shut_to_all_others_but_for_their_numbers() -> None:
    builder = a_training_job().with_worker(replicas=3)

    policy = build.network_policy(parsed(builder), builder.build())

    kubernetes_validate.validate(policy, "1.29", strict=True)
    (pods,) = {json.dumps(rule["from"][0]["podSelector"]) for rule in policy["spec"]["ingress"] if "from" in rule}
    assert json.loads(pods) == policy["spec"]["podSelector"]
    assert (
        policy["spec"]["podSelector"]["matchLabels"].items()
        <= job_of(builder)["spec"]["template"]["metadata"]["labels"].items()
    )
    assert [rule["ports"] for rule in policy["spec"]["ingress"] if "from" not in rule] == [
        [{"protocol": "TCP", "port": 8080}]
    ]


@pytest.mark.parametrize(
    ("builder", "image"),
    [
        pytest.param(a_training_job(), "trainer:test", id="no GPU"),
        pytest.param(a_training_job().with_gpus(1), "trainer:test-gpu", id="an NVIDIA GPU"),
        pytest.param(a_training_job().with_gpus(1, "nvidia.com/mig-1g.10gb"), "trainer:test-gpu", id="a part of one"),
        pytest.param(a_training_job().with_gpus(1, "amd.com/gpu"), "trainer:test", id="a GPU without CUDA"),
        pytest.param(a_training_job().with_worker(gpus=1, image="mine:1"), "mine:1", id="an image of the job's own"),
    ],
)
def test_a_job_with_gpus_gets_the_image_that_can_use_them(builder: TrainingJobBuilder, image: str) -> None:
    assert container_of(builder)["image"] == image


def test_pods_with_gpus_tolerate_the_taint_of_their_nodes() -> None:
    own = {"key": "team", "operator": "Exists"}
    builder = a_training_job().with_worker(gpus=1, template={"tolerations": [own]})

    assert pod_of(builder)["tolerations"] == [
        own,
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]
    assert "tolerations" not in pod_of(a_training_job())


@pytest.mark.parametrize(
    ("builder", "volume"),
    [
        (a_training_job(), None),
        (a_training_job().with_gpus(1), {"medium": "Memory"}),
        (a_training_job().with_worker(replicas=2), {"medium": "Memory"}),
        (a_training_job().with_worker(sharedMemory="8Gi"), {"medium": "Memory", "sizeLimit": "8Gi"}),
        (
            a_training_job().with_worker(template={"resourceClaims": [{"name": "gpu", "resourceClaimName": "one"}]}),
            {"medium": "Memory"},
        ),
    ],
)
def test_gpus_and_several_pods_get_shared_memory(builder: TrainingJobBuilder, volume: Manifest | None) -> None:
    volumes = {each["name"]: each for each in pod_of(builder)["volumes"]}
    mounts = {each["name"]: each["mountPath"] for each in container_of(builder)["volumeMounts"]}

    assert volumes.get("shm", {}).get("emptyDir") == volume
    assert mounts.get("shm") == ("/dev/shm" if volume else None)


def test_devices_by_claim_are_the_containers_and_bring_the_image_with_cuda() -> None:
    claims = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    builder = a_training_job().with_worker(template={"resourceClaims": claims, "schedulerName": "volcano"})

    assert (pod_of(builder)["resourceClaims"], pod_of(builder)["schedulerName"]) == (claims, "volcano")
    assert container_of(builder)["resources"] == {"claims": [{"name": "gpu"}]}
    assert container_of(builder)["image"] == "trainer:test-gpu"
    assert "CUDA_VISIBLE_DEVICES" not in env_of(builder)


def test_labels_and_annotations_are_on_every_child_and_pod_under_ours() -> None:
    own = {"labels": {"cost-center": "7", "team": "a"}, "annotations": {"note": "x"}}
    builder = a_training_job().with_worker(replicas=2, template={"labels": {"team": "b"}}).with_spec(metadata=own)
    job, owner = parsed(builder), builder.build()
    children = [
        build.spec_config_map(job, owner),
        build.headless_service(job, owner),
        build.network_policy(job, owner),
        build.attempt_job(job, owner, 0, trainer_images=IMAGES),
    ]

    for child in children:
        assert child["metadata"]["labels"]["cost-center"] == "7"
        assert child["metadata"]["labels"]["trainyard.dev/training-job"] == "churn"
        assert child["metadata"]["annotations"] == {"note": "x"}
    pod = children[-1]["spec"]["template"]["metadata"]
    assert (pod["labels"]["cost-center"], pod["labels"]["team"]) == ("7", "b")
    assert pod["labels"]["trainyard.dev/role"] == "worker"
    assert pod["annotations"] == {"note": "x"}
    # How pods are run is not the trainer's business.
    assert "metadata" not in json.loads(children[0]["data"]["spec.json"])["spec"]


def test_a_job_with_a_queue_has_its_label_and_waits_for_it() -> None:
    job = job_of(a_training_job().with_run_policy(queueName="gpu"))

    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert job["spec"]["suspend"] is True
    assert "kueue.x-k8s.io/queue-name" not in job["spec"]["template"]["metadata"]["labels"]
    assert "kueue.x-k8s.io/queue-name" not in job_of(a_training_job())["metadata"]["labels"]


@pytest.mark.parametrize(
    ("uri", "path", "own_volume"),
    [
        pytest.param("pvc://archive/team/trained/4", "/trainyard/model/team/trained/4", True, id="another claim"),
        pytest.param("pvc://models/trained/4", "/trainyard/store/trained/4", False, id="the store's claim"),
        pytest.param("s3://bucket/models/trained/4", None, False, id="no claim"),
    ],
)
def test_the_version_that_predicts_is_in_the_pod(uri: str, path: str | None, own_volume: bool) -> None:
    pod = pod_of(a_training_job().with_spec(program={"predict": {"model": {"uri": uri}}}))

    (container,) = pod["containers"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env.get("TRAINYARD_PREDICT_MODEL_DIR") == path
    model = {"name": "model", "persistentVolumeClaim": {"claimName": "archive", "readOnly": True}}
    assert (model in pod["volumes"]) is own_volume
    mount = {"name": "model", "mountPath": "/trainyard/model", "readOnly": True}
    assert (mount in container["volumeMounts"]) is own_volume
