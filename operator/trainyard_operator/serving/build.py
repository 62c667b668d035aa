"""The children of a ModelService: pure functions from what is wanted to manifests."""

from datetime import datetime

from trainyard_api.meta import parse_duration
from trainyard_api.names import (
    BATCHING_FILE,
    CANARY_ANNOTATION,
    GRPC_PORT,
    LEFT_ANNOTATION,
    MONITORING_CONFIG_FILE,
    OBEYED_ANNOTATION,
    ORDER_ANNOTATION,
    PARKED_ANNOTATION,
    PREVIOUS_ANNOTATION,
    PROGRESS_ANNOTATION,
    PROMOTED_ANNOTATION,
    REST_PORT,
    RESTARTED_ANNOTATION,
    ROLLED_BACK_ANNOTATION,
)
from trainyard_api.server import Batching
from trainyard_api.times import to_rfc3339
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import canary, identity
from trainyard_operator.serving.pod import METRICS_PATH, FetchImages, pod_template
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.rollout import Route
from trainyard_operator.serving.source import annotations
from trainyard_operator.workloads.identity import child, patch


def config_map(owner: Manifest, revision: Revision) -> Manifest:
    """Return the ConfigMap of a revision: without a monitoring file TensorFlow Serving has no metrics at all."""
    text = f'prometheus_config {{ enable: true, path: "{METRICS_PATH}" }}\n'
    manifest = child(CONFIG_MAP, _revision_name(owner, revision), owner, _revision_labels(owner, revision))
    files = {MONITORING_CONFIG_FILE: text}
    if (batching := revision.server.batching) is not None:
        files[BATCHING_FILE] = batching_parameters(batching)
    return manifest | {"immutable": True, "data": files}


def batching_parameters(batching: Batching) -> str:
    """Return the text that TensorFlow Serving's `batching_parameters_file` has."""
    values = {
        "max_batch_size": batching.max_batch_size,
        "batch_timeout_micros": batching.timeout_micros,
        "num_batch_threads": batching.threads,
        "max_enqueued_batches": batching.queue_length,
    }
    lines = [f"{name} {{ value: {value} }}\n" for name, value in values.items() if value is not None]
    # In ascending order, or the server does not start.
    return "".join([*lines, *(f"allowed_batch_sizes: {size}\n" for size in sorted({*(batching.allowed_sizes or ())}))])


def deployment(owner: Manifest, revision: Revision, *, replicas: int, fetch_images: FetchImages) -> Manifest:
    """Return the Deployment of a revision, which is created once; after that only `scale` is applied.

    So a newer operator that would build another pod template restarts nobody's pods.
    """
    service = owner["metadata"]["name"]
    manifest = child(DEPLOYMENT, _revision_name(owner, revision), owner, _revision_labels(owner, revision))
    manifest["metadata"]["annotations"] = annotations(revision.model)
    return manifest | {
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": identity.pod_selector(service, revision.id)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            # Longer than the pods' own time to start, so that a large model is not taken for a broken one.
            "progressDeadlineSeconds": parse_duration(revision.server.startup_timeout) + 60,
            "revisionHistoryLimit": 0,
            "template": pod_template(service, revision, fetch_images=fetch_images),
        }
    }


def scale(live: Manifest, replicas: int) -> Manifest:
    """Return what brings a Deployment to this number of pods and touches nothing else of it."""
    manifest = patch(DEPLOYMENT, live, {"replicas": replicas})
    if time := restarted(live):
        # Left out, it would be taken away, and with it all pods replaced once more.
        manifest["spec"]["template"] = _restarted_at(time)
    return manifest


def restart(live: Manifest, now: datetime) -> Manifest:
    """Return what replaces all pods of a Deployment, one after the other."""
    return patch(DEPLOYMENT, live, {"replicas": live["spec"]["replicas"], "template": _restarted_at(to_rfc3339(now))})


def restarted(live: Manifest) -> str:
    """Return when the pods of a Deployment were replaced last; empty where they never were."""
    metadata = live["spec"].get("template", {}).get("metadata") or {}
    return str((metadata.get("annotations") or {}).get(RESTARTED_ANNOTATION, ""))


def _restarted_at(time: str) -> Manifest:
    return {"metadata": {"annotations": {RESTARTED_ANNOTATION: time}}}


def parked(live: Manifest, now: datetime) -> Manifest:
    """Return what stops a Deployment and keeps it; who scales it again takes the mark away."""
    manifest = scale(live, 0)
    manifest["metadata"]["annotations"] = {PARKED_ANNOTATION: to_rfc3339(now)}
    return manifest


def stable_service(owner: Manifest, route: Route) -> Manifest:
    """Return the Service that clients know. Where it points to and since when is one write."""
    name = owner["metadata"]["name"]
    manifest = child(SERVICE, name, owner, identity.labels(name))
    marks = {
        PROMOTED_ANNOTATION: to_rfc3339(route.promoted) if route.promoted else None,
        PREVIOUS_ANNOTATION: route.previous,
    }
    # An empty text where there is no canary: a key that is left out would stay on a Service that was created with it.
    beside = canary.write(route.revision, route.canary) if route.canary else ""
    sent_back = route.rolled_back.status().model_dump_json(by_alias=True) if route.rolled_back else ""
    manifest["metadata"]["annotations"] = {key: value for key, value in marks.items() if value} | {
        CANARY_ANNOTATION: beside,
        ROLLED_BACK_ANNOTATION: sent_back,
        ORDER_ANNOTATION: str(route.order) if route.order else "",
        OBEYED_ANNOTATION: route.obeyed,
        PROGRESS_ANNOTATION: route.progress.model_dump_json() if route.progress else "",
    }
    if route.left:
        manifest["metadata"]["annotations"][LEFT_ANNOTATION] = route.left.model_dump_json()
    return manifest | {
        "spec": {
            "selector": _selector(name, route),
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


def _selector(service: str, route: Route) -> dict[str, str]:
    """Return which pods get requests: with a canary those of both revisions, as no others are there then."""
    if route.canary is None:
        return identity.pod_selector(service, route.revision)
    return identity.pod_selector(service, route.canary.revision) if route.canary.alone else identity.selector(service)


def _revision_name(owner: Manifest, revision: Revision) -> str:
    return identity.revision_name(owner["metadata"]["name"], revision.id)


def _revision_labels(owner: Manifest, revision: Revision) -> dict[str, str]:
    return identity.revision_labels(owner["metadata"]["name"], revision)
