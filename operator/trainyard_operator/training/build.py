"""The children of a TrainingJob: pure functions from its spec to manifests."""

import json

from trainyard_api.housekeeping import USE_FILE
from trainyard_api.meta import parse_duration
from trainyard_api.names import EXIT_BAD_INPUT, EXIT_DIVERGED, SPEC_FILE, TRAINER_PORT
from trainyard_api.profile import TrainingProfile
from trainyard_api.queueing import QUEUE_LABEL, ChildMetadata
from trainyard_api.roles import RoleName
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, NETWORK_POLICY, SERVICE, Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.pod import CONTAINER, TrainerImages, pod_template, ports
from trainyard_operator.workloads.identity import child, patch
from trainyard_operator.workloads.profiles import noted

_NOT_THE_TRAINERS = ("managedBy", "runPolicy", "metadata", "profile", "strategy")
"""Fields of the spec that say how pods are run."""


def spec_config_map(job: TrainingJob, owner: Manifest, store_use: str | None = None) -> Manifest:
    """Return the ConfigMap with the TrainingJob as the trainer reads it: every default filled in.

    What is not the trainer's business stays out. All else in the spec never changes, but for what stays in the store.
    `store_use` is what the operator says of the use of the store.
    """
    metadata = {key: job.metadata[key] for key in ("name", "namespace", "uid")}
    spec = {field: value for field, value in job.spec.to_wire().items() if field not in _NOT_THE_TRAINERS}
    document = {"apiVersion": job.api_version, "kind": job.kind, "metadata": metadata, "spec": spec}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    name = identity.spec_name(job.metadata["name"])
    content = {SPEC_FILE: text} | ({USE_FILE: store_use} if store_use else {})
    return _child(CONFIG_MAP, name, owner, job) | {"data": content}


def headless_service(job: TrainingJob, owner: Manifest) -> Manifest:
    """Return the Service that gives the pods names, ready or not: they look for each other before they are."""
    name = job.metadata["name"]
    return _child(SERVICE, identity.service_name(name), owner, job) | {
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": identity.selector(name),
            "ports": [
                {"name": port_name, "port": port, "targetPort": port_name, "protocol": "TCP"}
                for port_name, port in ports(job).items()
            ],
        }
    }


def network_policy(job: TrainingJob, owner: Manifest) -> Manifest:
    """Return the NetworkPolicy of a training with several pods.

    TensorFlow's servers run whatever anybody sends them (https://www.tensorflow.org/guide/distributed_training warns of
    it), so only the pods of the training reach them. What the trainer serves for the operator and for Prometheus shows
    numbers only.
    """
    pods = {"matchLabels": identity.selector(job.metadata["name"])}
    return _child(NETWORK_POLICY, identity.service_name(job.metadata["name"]), owner, job) | {
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": pods}]},
                {"ports": [{"protocol": "TCP", "port": TRAINER_PORT}]},
            ],
        }
    }


def attempt_job(
    job: TrainingJob,
    owner: Manifest,
    attempt: int,
    *,
    trainer_images: TrainerImages,
    profile: TrainingProfile | None = None,
) -> Manifest:
    """Return the Job of one attempt. It never restarts a failed program itself: each try is an attempt of ours."""
    deadline, role = job.spec.run_policy.attempt_deadline, job.spec.roles.lead
    count = job.spec.roles.of(role).replicas
    spec: Manifest = {
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": count,
        "backoffLimit": 0,
        # A queue finds it suspended, and resumes it.
        "suspend": job.spec.run_policy.suspend or job.spec.run_policy.queue_name is not None,
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": CONTAINER,
                        "operator": "In",
                        "values": [EXIT_BAD_INPUT, EXIT_DIVERGED],
                    },
                },
                # Preemption, eviction and drained nodes. Kubernetes replaces a pod that trains alone, and the attempt
                # goes on; several can only start again together, which is the next attempt.
                {
                    "action": "FailJob" if job.spec.roles.are_several else "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]
        },
        "template": pod_template(job, attempt, trainer_images=trainer_images, role=role),
    }
    if deadline is not None:
        spec["activeDeadlineSeconds"] = parse_duration(deadline)
    found = _job_of(role, job, owner, attempt) | {"spec": spec}
    if (queue := job.spec.run_policy.queue_name) is not None:
        found["metadata"]["labels"][QUEUE_LABEL] = queue
    if profile is not None:
        found["metadata"]["annotations"] = found["metadata"].get("annotations", {}) | noted(profile)
    return found


def follower_job(
    job: TrainingJob,
    owner: Manifest,
    attempt: int,
    role: RoleName,
    *,
    trainer_images: TrainerImages,
    suspend: bool,
) -> Manifest:
    """Return the Job of a role that follows a chief. How it ends says nothing: the end of the chief is that of all.

    A pod that fails is not replaced, because nobody joins a running training, and the others of its role go on.
    """
    count = job.spec.roles.of(role).replicas
    spec = {
        "completionMode": "Indexed",
        "completions": count,
        "parallelism": count,
        "backoffLimitPerIndex": 0,
        "maxFailedIndexes": count,
        "suspend": suspend,
        "template": pod_template(job, attempt, trainer_images=trainer_images, role=role),
    }
    return _job_of(role, job, owner, attempt) | {"spec": spec}


def _job_of(role: RoleName, job: TrainingJob, owner: Manifest, attempt: int) -> Manifest:
    return _child(JOB, identity.attempt_name(job.metadata["name"], attempt, role), owner, job, attempt, role)


def _child(
    kind: Kind,
    name: str,
    owner: Manifest,
    job: TrainingJob,
    attempt: int | None = None,
    role: RoleName = "worker",
) -> Manifest:
    """Return a child with the labels and annotations that the spec wants on all of them, and ours over these."""
    own = job.spec.metadata or ChildMetadata()
    found = child(kind, name, owner, (own.labels or {}) | identity.labels(job, attempt, role))
    if own.annotations:
        found["metadata"]["annotations"] = dict(own.annotations)
    return found


def running_job(job: TrainingJob, live: Manifest, *, suspend: bool) -> Manifest:
    """Return the Job of a running attempt as far as the spec can still change it.

    The rest is immutable, also where a newer operator would build another. A deadline that was taken away is null.
    """
    deadline = job.spec.run_policy.attempt_deadline
    spec: Manifest = {"suspend": suspend}
    if deadline is not None:
        spec["activeDeadlineSeconds"] = parse_duration(deadline)
    elif live["spec"].get("activeDeadlineSeconds") is not None:
        spec["activeDeadlineSeconds"] = None
    return patch(JOB, live, spec)
