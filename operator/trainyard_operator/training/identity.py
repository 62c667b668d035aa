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
from trainyard_api.roles import RoleName
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.port import Manifest

_ROLES = ("worker", "chief", "ps")


def spec_name(job: str) -> str:
    """Return the name of the ConfigMap with the resolved spec."""
    return f"{job}-spec"


def service_name(job: str) -> str:
    """Return the name of the headless Service; the plain name is left to a ModelService of the same name."""
    return f"{job}-training"


def lead_of(parent: Manifest) -> RoleName:
    """Return the leading role of a TrainingJob as the API server has it: its Job stands for the attempt."""
    roles = parent.get("spec", {}).get("roles")
    return "chief" if isinstance(roles, dict) and roles.get("ps") is not None else "worker"


def attempt_name(job: str, attempt: int, role: RoleName = "worker") -> str:
    """Return the name of the Job of a role in an attempt."""
    return f"{job}-{role}-{attempt}"


def host(job: TrainingJob, attempt: int, role: RoleName, index: int) -> str:
    """Return the name of a pod in the cluster's DNS: its host name below that of the headless Service."""
    name, namespace = job.metadata["name"], job.metadata["namespace"]
    return f"{attempt_name(name, attempt, role)}-{index}.{service_name(name)}.{namespace}.svc"


def attempt_number(job: str, name: str, role: RoleName | None = None) -> int | None:
    """Return to which attempt of the TrainingJob a Job of this name belongs, or None; of one role, or of any."""
    roles = "|".join(_ROLES) if role is None else role
    match = re.fullmatch(rf"{re.escape(job)}-(?:{roles})-(0|[1-9][0-9]{{0,5}})", name)
    return int(match[1]) if match else None


def selector(job: str) -> dict[str, str]:
    """Return the labels that all children of the TrainingJob, and nothing else, carry."""
    return {MANAGED_BY_LABEL: MANAGED_BY, JOB_LABEL: job}


def labels(job: TrainingJob, attempt: int | None = None, role: RoleName = "worker") -> dict[str, str]:
    """Return the labels of a child, with its role where it belongs to an attempt."""
    name = str(job.metadata["name"])
    common = selector(name) | {
        NAME_LABEL: "trainyard-training",
        COMPONENT_LABEL: "training",
        MODEL_LABEL: job.model_name,
    }
    return common if attempt is None else common | {ROLE_LABEL: role, ATTEMPT_LABEL: str(attempt)}
