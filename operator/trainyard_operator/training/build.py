"""The children of a TrainingJob: pure functions from its spec to manifests."""

import json

from trainyard_api.meta import parse_duration
from trainyard_api.names import EXIT_BAD_INPUT, EXIT_DIVERGED, SPEC_FILE
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.children import owner_reference
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, SERVICE, Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.pod import CONTAINER, pod_template, ports


def spec_config_map(job: TrainingJob, owner: Manifest) -> Manifest:
    """Return the ConfigMap with the TrainingJob as the trainer reads it: every default filled in.

    The run policy stays out: it is not the trainer's business, and all else in the spec never changes.
    """
    metadata = {key: job.metadata[key] for key in ("name", "namespace", "uid")}
    spec = {name: each for name, each in job.spec.to_wire().items() if name != "runPolicy"}
    document = {"apiVersion": job.api_version, "kind": job.kind, "metadata": metadata, "spec": spec}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    name = identity.spec_name(job.metadata["name"])
    return _child(CONFIG_MAP, name, job, owner) | {"data": {SPEC_FILE: text}}


def headless_service(job: TrainingJob, owner: Manifest) -> Manifest:
    """Return the Service that gives the pods names, ready or not: they look for each other before they are."""
    name = job.metadata["name"]
    return _child(SERVICE, identity.service_name(name), job, owner) | {
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": identity.selector(name),
            "ports": [
                {"name": each, "port": port, "targetPort": each, "protocol": "TCP"} for each, port in ports(job).items()
            ],
        }
    }


def attempt_job(job: TrainingJob, owner: Manifest, attempt: int, *, trainer_image: str) -> Manifest:
    """Return the Job of one attempt. It never restarts a failed program itself: each try is an attempt of ours."""
    deadline = job.spec.run_policy.active_deadline
    spec: Manifest = {
        "completionMode": "Indexed",
        "completions": job.spec.roles.worker.replicas,
        "parallelism": job.spec.roles.worker.replicas,
        "backoffLimit": 0,
        "suspend": job.spec.run_policy.suspend,
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
                    "action": "Ignore" if job.spec.roles.worker.replicas == 1 else "FailJob",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
            ]
        },
        "template": pod_template(job, attempt, trainer_image=trainer_image),
    }
    if deadline is not None:
        spec["activeDeadlineSeconds"] = parse_duration(deadline)
    name = identity.attempt_name(job.metadata["name"], attempt)
    return _child(JOB, name, job, owner, attempt) | {"spec": spec}


def _child(kind: Kind, name: str, job: TrainingJob, owner: Manifest, attempt: int | None = None) -> Manifest:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {
            "name": name,
            "namespace": job.metadata["namespace"],
            "labels": identity.labels(job, attempt),
            "ownerReferences": [owner_reference(owner)],
        },
    }
