"""The pod that trains: what it runs, what it sees and what it may do."""

import json
from dataclasses import dataclass

from trainyard_api.names import (
    CHECKPOINT_DIR_ENV,
    CODE_DIR_ENV,
    CODE_MOUNT,
    DATA_DIR_ENV,
    IMAGE_ENV,
    LOG_DIR_ENV,
    MODEL_DIR_ENV,
    PORT_ENV,
    PREDICT_MODEL_DIR_ENV,
    RUN_ENV,
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
from trainyard_api.queueing import ChildMetadata
from trainyard_api.rerun import training_id
from trainyard_api.roles import RoleName
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.placement import affinity
from trainyard_operator.training.volumes import code_config_map, data_path, mounts, predict_model_path, secrets, volumes
from trainyard_operator.workloads.pod import CONFINED, pod_spec, present, resources, variables

CONTAINER = "trainer"
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
"""Written on every pod of an Indexed Job by Kubernetes."""
_NVIDIA = "nvidia.com/"
GRACE_PERIOD = 60
"""Seconds from the request to stop to the end: time to write a checkpoint."""


@dataclass(frozen=True, slots=True)
class TrainerImages:
    """The trainer's images, for jobs that name none: without CUDA, which is half the size, and with it."""

    cpu: str
    cuda: str


def pod_template(
    job: TrainingJob, attempt: int, *, trainer_images: TrainerImages, role: RoleName = "worker"
) -> Manifest:
    """Return the pod template of an attempt; it satisfies the `restricted` pod security standard."""
    worker = job.spec.roles.of(role)
    template = worker.template
    placed = template.model_copy(update={"affinity": affinity(worker, identity.selector(job.metadata["name"]))})
    spec = pod_spec(placed, grace_period=GRACE_PERIOD, gpu_resource=worker.gpu_resource if worker.gpus else None) | {
        "restartPolicy": "Never",
        "subdomain": identity.service_name(job.metadata["name"]),
        "containers": [_container(job, attempt, trainer_images, role)],
        "volumes": volumes(job, role),
    }
    own = job.spec.metadata or ChildMetadata()
    metadata = {"labels": (own.labels or {}) | (template.labels or {}) | identity.labels(job, attempt, role)}
    annotations = (own.annotations or {}) | (template.annotations or {})
    return {"metadata": metadata | present(annotations=annotations or None), "spec": spec}


def _container(job: TrainingJob, attempt: int, trainer_images: TrainerImages, role: RoleName) -> Manifest:
    program, worker = job.spec.program.container, job.spec.roles.of(role)
    cuda = (worker.gpus and worker.gpu_resource.startswith(_NVIDIA)) or worker.template.resource_claims
    default = trainer_images.cuda if cuda else trainer_images.cpu
    image = own_image(job) or worker.image or default
    container: Manifest = {
        "name": CONTAINER,
        "image": image,
        "env": environment(job, image, attempt, role),
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports(job).items()],
        "resources": resources(
            worker.resources,
            gpus=worker.gpus,
            gpu_resource=worker.gpu_resource,
            claims=worker.template.resource_claims,
        ),
        "securityContext": CONFINED,
        "terminationMessagePath": TERMINATION_MESSAGE_PATH,
        # A program that dies without a last word is known by the end of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts(job, role),
    }
    return container | (present(command=program.command, args=program.args) if program else {})


def own_image(job: TrainingJob) -> str | None:
    """Return the image that the program names, where it names one."""
    program = job.spec.program
    return program.container.image if program.container else program.python.source.image if program.python else None


def image_field(job: TrainingJob, role: RoleName = "worker") -> str:
    """Return the field that names the image of the trainer."""
    program = job.spec.program
    if program.container:
        return "spec.program.container.image"
    if program.python and program.python.source.image:
        return "spec.program.python.source.image"
    return f"spec.roles.{role}.image"


def ports(job: TrainingJob) -> dict[str, int]:
    """Return the ports of the pods by name."""
    return {"http": TRAINER_PORT} | {f"{role}-{index}": port for (role, index), port in _ports(job).items()}


def _ports(job: TrainingJob) -> dict[tuple[RoleName, int], int]:
    """Return the port on which each of several pods is found, in the order of TensorFlow's clusters."""
    roles = job.spec.roles
    if not roles.are_several:
        return {}
    order: tuple[RoleName, ...] = ("chief", "worker", "ps") if roles.ps else ("worker",)
    tasks = [(role, index) for role in order for index in range(roles.of(role).replicas)]
    return {task: WORKER_PORT + number for number, task in enumerate(tasks)}


def environment(job: TrainingJob, image: str, attempt: int, role: RoleName = "worker") -> list[Manifest]:
    """Return the variables of the container: defaults, over them the user's, over both the trainer's contract."""
    store = f"{STORE_MOUNT}/{job.model_name}"
    run = job.status.run if job.status else 0
    work = f"{store}/.training/{training_id(job.metadata['uid'], run)}"
    defaults = {"HOME": "/tmp", "KERAS_HOME": "/tmp/keras"}  # noqa: S108 (an emptyDir of the pod's own)
    pods = job.spec.roles.of(role)
    if not pods.gpus and not pods.template.resource_claims:
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
    } | present(**{DATA_DIR_ENV: data_path(job.spec.data.source), PREDICT_MODEL_DIR_ENV: predict_model_path(job)})
    contract |= {secret.variable: secret.path for secret in secrets(job)}
    if code_config_map(job):
        contract[CODE_DIR_ENV] = CODE_MOUNT
    if run:
        contract[RUN_ENV] = str(run)
    ours = variables(contract) | _cluster(job, attempt, role)
    own = {variable["name"]: variable for variable in pods.template.env or [] if variable["name"] not in ours}
    return list((variables(defaults) | own | ours).values())


def _cluster(job: TrainingJob, attempt: int, role: RoleName) -> dict[str, Manifest]:
    """Return what tells the pod its place among several, as TensorFlow reads it. The order matters.

    The kubelet puts the index into TF_CONFIG: it expands a reference to a variable that stands before.
    """
    if not job.spec.roles.are_several:
        return {}
    index_field = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX_ANNOTATION}']"}}
    addresses: dict[str, list[str]] = {}
    for (other, index), port in _ports(job).items():
        addresses.setdefault(other, []).append(f"{identity.host(job, attempt, other, index)}:{port}")
    task = f'"task": {{"type": "{role}", "index": $({WORKER_INDEX_ENV})}}'
    config = f'{{"cluster": {json.dumps(addresses)}, {task}}}'
    return {WORKER_INDEX_ENV: {"name": WORKER_INDEX_ENV, "valueFrom": index_field}} | variables({TF_CONFIG_ENV: config})
