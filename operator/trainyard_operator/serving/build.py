"""The children of a ModelService: pure functions from what is wanted to manifests."""

from trainyard_api.names import (
    GRPC_PORT,
    MONITORING_CONFIG_FILE,
    PREVIOUS_ANNOTATION,
    PROMOTED_ANNOTATION,
    REST_PORT,
)
from trainyard_operator.cluster.children import owner_reference
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE, Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.runtime.clock import to_rfc3339
from trainyard_operator.serving import identity
from trainyard_operator.serving.pod import METRICS_PATH, START_LIMIT, FetchImages, annotations, pod_template
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.rollout import Route


def config_map(owner: Manifest, revision: Revision) -> Manifest:
    """Return the ConfigMap of a revision: without a monitoring file TensorFlow Serving has no metrics at all."""
    text = f'prometheus_config {{ enable: true, path: "{METRICS_PATH}" }}\n'
    child = _child(CONFIG_MAP, _revision_name(owner, revision), owner, _revision_labels(owner, revision))
    return child | {"immutable": True, "data": {MONITORING_CONFIG_FILE: text}}


def deployment(owner: Manifest, revision: Revision, *, replicas: int, fetch_images: FetchImages) -> Manifest:
    """Return the Deployment of a revision, which is created once; after that only `scale` is applied.

    So a newer operator that would build another pod template restarts nobody's pods.
    """
    service = owner["metadata"]["name"]
    child = _child(DEPLOYMENT, _revision_name(owner, revision), owner, _revision_labels(owner, revision))
    child["metadata"]["annotations"] = annotations(revision.model)
    return child | {
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": identity.pod_selector(service, revision.id)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            # Longer than the pods' own time to start, so that a large model is not taken for a broken one.
            "progressDeadlineSeconds": START_LIMIT + 600,
            "revisionHistoryLimit": 0,
            "template": pod_template(service, revision, fetch_images=fetch_images),
        }
    }


def scale(live: Manifest, replicas: int) -> Manifest:
    """Return what brings a Deployment to this number of pods and touches nothing else of it."""
    metadata = {key: live["metadata"][key] for key in ("name", "namespace")}
    return {
        "apiVersion": DEPLOYMENT.api_version,
        "kind": DEPLOYMENT.name,
        "metadata": metadata,
        "spec": {"replicas": replicas},
    }


def stable_service(owner: Manifest, route: Route) -> Manifest:
    """Return the Service that clients know. Where it points to and since when is one write."""
    name = owner["metadata"]["name"]
    child = _child(SERVICE, name, owner, identity.labels(name))
    marks = {
        PROMOTED_ANNOTATION: to_rfc3339(route.promoted) if route.promoted else None,
        PREVIOUS_ANNOTATION: route.previous,
    }
    child["metadata"]["annotations"] = {key: value for key, value in marks.items() if value}
    return child | {
        "spec": {
            "selector": identity.pod_selector(name, route.revision),
            "ports": [
                {
                    "name": "grpc",
                    "port": GRPC_PORT,
                    "targetPort": "grpc",
                    "protocol": "TCP",
                    "appProtocol": "kubernetes.io/h2c",
                },
                {"name": "http", "port": REST_PORT, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"},
            ],
        }
    }


def _revision_name(owner: Manifest, revision: Revision) -> str:
    return identity.revision_name(owner["metadata"]["name"], revision.id)


def _revision_labels(owner: Manifest, revision: Revision) -> dict[str, str]:
    return identity.revision_labels(owner["metadata"]["name"], revision)


def _child(kind: Kind, name: str, owner: Manifest, labels: dict[str, str]) -> Manifest:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(owner)],
        },
    }
