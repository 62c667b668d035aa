"""TrainingJobs as tests of a cluster submit them, and what they wait for."""

import json
from collections.abc import Callable
from typing import Any

from support.kube_api import Api, Object
from support.manifests import SHELL_IMAGE

DIGEST = "sha256:" + "ab" * 32


def a_job(name: str = "line", **spec: Any) -> Object:
    """A training that takes a second, once TensorFlow is loaded."""
    fields: Object = {
        "program": {"keras": {"task": "regression", "hidden": [8]}},
        "data": {"source": {"configMap": {"name": "rows", "key": "rows.csv"}}, "label": "y"},
        "fit": {"epochs": 3, "batchSize": 32},
        "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
    }
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": fields | spec,
    }


def a_program(script: str, name: str = "own", **run_policy: Any) -> Object:
    """A training by a shell script: there within a second, and as long as it likes."""
    container = {"image": SHELL_IMAGE, "command": ["sh", "-c", script]}
    return a_job(name, program={"container": container}, runPolicy=run_policy)


def says_result(version: int = 1, name: str = "own") -> str:
    """Shell that leaves the last word of a training that ended well."""
    model = {"name": name, "version": version, "path": f"{name}/{version}", "digest": DIGEST, "sizeBytes": 1}
    word = json.dumps({"reason": "Done", "message": "ok", "epochs": 1, "steps": 1, "metrics": {}, "model": model})
    return f"printf '%s' '{word}' > $TRAINYARD_TERMINATION_MESSAGE_PATH"


def in_phase(*phases: str) -> Callable[[Object], bool]:
    def holds(job: Object) -> bool:
        return job.get("status", {}).get("phase") in phases

    holds.__name__ = f"it is {' or '.join(phases)}"
    return holds


def condition(job: Object, kind: str) -> Object:
    return next((each for each in job.get("status", {}).get("conditions", []) if each["type"] == kind), {})


def because(reason: str, kind: str = "Running") -> Callable[[Object], bool]:
    def holds(job: Object) -> bool:
        return bool(condition(job, kind).get("reason") == reason)

    holds.__name__ = f"{kind} says {reason}"
    return holds


def jobs_of(api: Api) -> list[str]:
    return sorted(job["metadata"]["name"] for job in api.list("batch/v1", "Job"))


def the_job(name: str = "own", attempt: int = 0) -> Object:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"{name}-worker-{attempt}"}}
