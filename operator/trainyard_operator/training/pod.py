"""The pod that trains: what it runs, what it sees and what it may do."""

import json
from typing import Any

from trainyard_api.names import (
    CHECKPOINT_DIR_ENV,
    CODE_DIR_ENV,
    CODE_MOUNT,
    DATA_DIR_ENV,
    IMAGE_ENV,
    LOG_DIR_ENV,
    MODEL_DIR_ENV,
    PORT_ENV,
    SPEC_ENV,
    SPEC_FILE,
    SPEC_MOUNT,
    STORE_MOUNT,
    TERMINATION_MESSAGE_ENV,
    TERMINATION_MESSAGE_PATH,
    TF_CONFIG_ENV,
    TRAINER_PORT,
    WORKER_INDEX_ENV,
    WORKER_PORT,
)
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.volumes import code_config_map, data_path, mounts, secrets, volumes

CONTAINER = "trainer"
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
"""Written on every pod of an Indexed Job by Kubernetes."""
GRACE_PERIOD = 60
"""Seconds from the request to stop to the end: time to write a checkpoint."""
_USER = 65532
"""One user for all that write or read a store, also where the storage knows no fsGroup."""


def pod_template(job: TrainingJob, attempt: int, *, trainer_image: str) -> Manifest:
    """Return the pod template of an attempt; it satisfies the `restricted` pod security standard."""
    worker = job.spec.roles.worker
    template = worker.template
    spec: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "subdomain": identity.service_name(job.metadata["name"]),
        "terminationGracePeriodSeconds": GRACE_PERIOD,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, attempt, trainer_image)],
        "volumes": volumes(job),
    }
    spec |= _present(
        nodeSelector=template.node_selector,
        tolerations=template.tolerations,
        affinity=template.affinity,
        priorityClassName=template.priority_class_name,
        runtimeClassName=template.runtime_class_name,
        serviceAccountName=template.service_account_name,
        imagePullSecrets=template.image_pull_secrets,
    )
    metadata = {"labels": (template.labels or {}) | identity.labels(job, attempt)}
    return {"metadata": metadata | _present(annotations=template.annotations), "spec": spec}


def _container(job: TrainingJob, attempt: int, trainer_image: str) -> Manifest:
    program = job.spec.program.container
    image = own_image(job) or job.spec.roles.worker.image or trainer_image
    container: Manifest = {
        "name": CONTAINER,
        "image": image,
        "env": environment(job, image, attempt),
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports(job).items()],
        "resources": _resources(job),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": TERMINATION_MESSAGE_PATH,
        # A program that dies without a last word is known by the end of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts(job),
    }
    return container | (_present(command=program.command, args=program.args) if program else {})


def own_image(job: TrainingJob) -> str | None:
    """Return the image that the program names, where it names one."""
    program = job.spec.program
    return program.container.image if program.container else program.python.source.image if program.python else None


def ports(job: TrainingJob) -> dict[str, int]:
    """Return the ports of the pods by name."""
    count = job.spec.roles.worker.replicas
    return {"http": TRAINER_PORT} | {f"worker-{index}": WORKER_PORT + index for index in range(count) if count > 1}


def environment(job: TrainingJob, image: str, attempt: int) -> list[Manifest]:
    """Return the variables of the container: defaults, over them the user's, over both the trainer's contract."""
    store = f"{STORE_MOUNT}/{job.model_name}"
    work = f"{store}/.training/{job.metadata['uid']}"
    defaults = {"HOME": "/tmp", "KERAS_HOME": "/tmp/keras"}  # noqa: S108 (an emptyDir of the pod's own)
    if not job.spec.roles.worker.gpus:
        # On some nodes every container sees every GPU: a job that asked for none shall take none.
        defaults |= {"NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": "-1"}
    contract = {
        SPEC_ENV: f"{SPEC_MOUNT}/{SPEC_FILE}",
        MODEL_DIR_ENV: store,
        CHECKPOINT_DIR_ENV: f"{work}/checkpoints",
        LOG_DIR_ENV: f"{work}/logs",
        IMAGE_ENV: image,
        PORT_ENV: str(TRAINER_PORT),
        TERMINATION_MESSAGE_ENV: TERMINATION_MESSAGE_PATH,
    } | _present(**{DATA_DIR_ENV: data_path(job.spec.data.source)})
    contract |= {each.variable: each.path for each in secrets(job)}
    if code_config_map(job):
        contract[CODE_DIR_ENV] = CODE_MOUNT
    ours = _variables(contract) | _cluster(job, attempt)
    own = {each["name"]: each for each in job.spec.roles.worker.template.env or [] if each["name"] not in ours}
    return list((_variables(defaults) | own | ours).values())


def _cluster(job: TrainingJob, attempt: int) -> dict[str, Manifest]:
    """Return what tells the pod its place among several, as TensorFlow reads it. The order matters.

    The kubelet puts the index into TF_CONFIG: it expands a reference to a variable that stands before.
    """
    count = job.spec.roles.worker.replicas
    if count == 1:
        return {}
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX_ANNOTATION}']"}}
    addresses = [f"{identity.worker_host(job, attempt, each)}:{WORKER_PORT + each}" for each in range(count)]
    task = f'"task": {{"type": "worker", "index": $({WORKER_INDEX_ENV})}}'
    config = f'{{"cluster": {json.dumps({"worker": addresses})}, {task}}}'
    return {WORKER_INDEX_ENV: {"name": WORKER_INDEX_ENV, "valueFrom": index}} | _variables({TF_CONFIG_ENV: config})


def _variables(values: dict[str, str]) -> dict[str, Manifest]:
    return {name: {"name": name, "value": value} for name, value in values.items()}


def _resources(job: TrainingJob) -> Manifest:
    worker = job.spec.roles.worker
    # Extended resources cannot be overcommitted: requests must equal limits.
    gpus: dict[str, int | str] = {worker.gpu_resource: worker.gpus} if worker.gpus else {}
    wanted = {"requests": (worker.resources.requests or {}) | gpus, "limits": (worker.resources.limits or {}) | gpus}
    # Quantities are strings to the API server; a number would come back as one.
    return {name: {key: str(amount) for key, amount in amounts.items()} for name, amounts in wanted.items() if amounts}


def _present(**fields: Any) -> dict[str, Any]:
    return {name: each for name, each in fields.items() if each is not None}
