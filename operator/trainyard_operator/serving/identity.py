"""What the children of a ModelService are called and labelled."""

import re

from trainyard_api.names import (
    COMPONENT_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    MODEL_LABEL,
    MODEL_VERSION_LABEL,
    NAME_LABEL,
    REVISION_LABEL,
    SERVICE_LABEL,
)
from trainyard_api.queueing import ChildMetadata
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving.revision import Revision

_NOTHING = ChildMetadata()
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")


def revision_name(service: str, revision: str) -> str:
    """Return the name of the Deployment and of the ConfigMap of a revision."""
    return f"{service}-{revision}"


def revision_of(child: Manifest) -> str:
    """Return the revision a child belongs to; empty for one that belongs to none."""
    return str(child["metadata"].get("labels", {}).get(REVISION_LABEL, ""))


def selector(service: str) -> dict[str, str]:
    """Return the labels that all children of the ModelService, and nothing else, carry."""
    return {MANAGED_BY_LABEL: MANAGED_BY, SERVICE_LABEL: service}


def pod_selector(service: str, revision: str) -> dict[str, str]:
    """Return the labels that choose the pods of a revision: few, since a Deployment's selector can never change."""
    return {SERVICE_LABEL: service, REVISION_LABEL: revision}


def service_pods(service: str) -> dict[str, str]:
    """Return the labels that choose the pods of all revisions."""
    return {SERVICE_LABEL: service}


def labels(service: str) -> dict[str, str]:
    return selector(service) | {NAME_LABEL: "trainyard-serving", COMPONENT_LABEL: "serving"}


def with_metadata(child: Manifest, own: ChildMetadata | None) -> Manifest:
    """Return a child, or a pod template, with what the spec wants on all of them under what it has itself."""
    own, metadata = own or _NOTHING, child["metadata"]
    added = {
        "labels": (own.labels or {}) | metadata.get("labels", {}),
        "annotations": (own.annotations or {}) | metadata.get("annotations", {}),
    }
    return child | {"metadata": metadata | {key: value for key, value in added.items() if value}}


def revision_labels(service: str, revision: Revision) -> dict[str, str]:
    """Return the labels of a child that belongs to one revision."""
    own = labels(service) | {REVISION_LABEL: revision.id, MODEL_VERSION_LABEL: str(revision.model.version)}
    # A path in the store may be no label.
    return own | ({MODEL_LABEL: revision.model.model} if _LABEL_VALUE.fullmatch(revision.model.model) else {})
