"""ModelServices of model `line`, whose versions `published` writes: what tests on a cluster make and wait for."""

import json
from collections.abc import Callable
from typing import Any

from support.kube_api import Api, Object
from support.manifests import SHELL_IMAGE
from support.published import STORE

SECONDS = 120


def a_service(version: int = 1, **spec: Any) -> Object:
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "ModelService",
        "metadata": {"name": "line"},
        "spec": {"model": {"uri": f"pvc://{STORE}/line/{version}"}} | spec,
    }


def a_training_that_made(version: int, digest: str, **metrics: float) -> Object:
    """A TrainingJob whose program says that it made this version, which is there already."""
    model = {"name": "line", "version": version, "path": f"line/{version}", "digest": digest, "sizeBytes": 1}
    word = json.dumps({"reason": "Done", "message": "ok", "epochs": 1, "steps": 1, "metrics": metrics, "model": model})
    script = f"printf '%s' '{word}' > $TRAINYARD_TERMINATION_MESSAGE_PATH"
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": f"line-{version}", "labels": {"model": "line"}},
        "spec": {
            "modelName": "line",
            "program": {"container": {"image": SHELL_IMAGE, "command": ["sh", "-c", script]}},
            "data": {"source": {"uri": "https://example.com/rows.csv"}, "label": "y"},
            "output": {"store": {"persistentVolumeClaim": {"claimName": STORE}}},
        },
    }


def is_serving(version: int, replicas: int = 1) -> Callable[[Object], bool]:
    def holds(service: Object) -> bool:
        status = service.get("status", {})
        return (
            status.get("phase") == "Ready"
            and status["current"]["modelVersion"] == version
            and status["ready"] == f"{replicas}/{replicas}"
            and status["observedGeneration"] == service["metadata"]["generation"]
        )

    holds.__name__ = f"version {version} answers on {replicas} replicas"
    return holds


def because(reason: str, kind: str = "Degraded") -> Callable[[Object], bool]:
    def holds(service: Object) -> bool:
        return condition(service, kind).get("reason") == reason

    holds.__name__ = f"{kind} says {reason}"
    return holds


def condition(service: Object, kind: str) -> Object:
    return next((each for each in service.get("status", {}).get("conditions", []) if each["type"] == kind), {})


def deployments(api: Api) -> list[Object]:
    return api.list("apps/v1", "Deployment")
