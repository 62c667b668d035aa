"""What the children of a TrainingJob are called and labelled."""

import re

from trainyard_api.names import (
    ATTEMPT_LABEL,
    COMPONENT_LABEL,
    JOB_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    MODEL_LABEL,
    NAME_LABEL,
    ROLE_LABEL,
)
from trainyard_api.trainingjob import TrainingJob

ROLE = "worker"


def spec_name(job: str) -> str:
    """Return the name of the ConfigMap with the resolved spec."""
    return f"{job}-spec"


def service_name(job: str) -> str:
    """Return the name of the headless Service; the plain name is left to a ModelService of the same name."""
    return f"{job}-training"


def attempt_name(job: str, attempt: int) -> str:
    """Return the name of the Job of an attempt."""
    return f"{job}-{ROLE}-{attempt}"


def worker_host(job: TrainingJob, attempt: int, index: int) -> str:
    """Return the name of a worker's pod in the cluster's DNS: its host name below that of the headless Service."""
    name, namespace = job.metadata["name"], job.metadata["namespace"]
    return f"{attempt_name(name, attempt)}-{index}.{service_name(name)}.{namespace}.svc"


def attempt_number(job: str, name: str) -> int | None:
    """Return which attempt of the TrainingJob a Job of this name is, or None."""
    match = re.fullmatch(rf"{re.escape(job)}-{ROLE}-(0|[1-9][0-9]{{0,5}})", name)
    return int(match[1]) if match else None


def selector(job: str) -> dict[str, str]:
    """Return the labels that all children of the TrainingJob, and nothing else, carry."""
    return {MANAGED_BY_LABEL: MANAGED_BY, JOB_LABEL: job}


def labels(job: TrainingJob, attempt: int | None = None) -> dict[str, str]:
    """Return the labels of a child, with its role where it belongs to an attempt."""
    name = str(job.metadata["name"])
    common = selector(name) | {
        NAME_LABEL: "trainyard-training",
        COMPONENT_LABEL: "training",
        MODEL_LABEL: job.model_name,
    }
    return common if attempt is None else common | {ROLE_LABEL: ROLE, ATTEMPT_LABEL: str(attempt)}
