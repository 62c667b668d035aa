"""A cluster in memory for tests of the client: objects, logs, and Services that answer through the proxy."""

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from trainyard.cluster import MODEL_SERVICES, TRAINING_JOBS, Manifest, Reply, Resource
from trainyard.errors import Conflict, NotFound, TrainyardError, Unreachable

NAMESPACE = "team"
CREATED = "2026-11-30T10:00:00Z"
Key: TypeAlias = tuple[str, str, str]
Answer: TypeAlias = Callable[[str, str, bytes | None, Mapping[str, str]], Reply]
"""What a Service answers: of the method, the path, the body and the query."""


@dataclass
class MemoryCluster:
    """Keeps objects by plural, namespace and name."""

    namespace: str = NAMESPACE
    server: str = "https://cluster.example:6443"
    objects: dict[Key, Manifest] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    services: dict[str, Answer] = field(default_factory=dict)
    answers: dict[str, Manifest] = field(default_factory=dict)
    refuse: dict[tuple[str, str], TrainyardError] = field(default_factory=dict)
    """Errors by verb and plural."""
    changes: dict[str, list[Manifest | None]] = field(default_factory=dict)
    """What a watch tells of an object after its first state, by name."""
    sent: list[tuple[str, str, Manifest]] = field(default_factory=list)
    _uids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, manifest: Manifest, resource: Resource | None = None) -> Manifest:
        """Have an object."""
        found = copy.deepcopy(manifest)
        metadata = found["metadata"]
        metadata.setdefault("namespace", self.namespace)
        metadata.setdefault("uid", f"uid-{next(self._uids)}")
        metadata.setdefault("creationTimestamp", CREATED)
        metadata.setdefault("generation", 1)
        plural = resource.plural if resource else f"{found['kind'].lower()}s"
        self.objects[plural, metadata["namespace"], metadata["name"]] = found
        return found

    def get(self, resource: Resource, namespace: str | None, name: str) -> Manifest:
        self._check("get", resource)
        found = self.objects.get((resource.plural, namespace or self.namespace, name))
        if found is None:
            raise NotFound(f'{resource.plural} "{name}" not found')
        return copy.deepcopy(found)

    def select(
        self, resource: Resource, namespace: str | None, *, labels: str | None = None, fields: str | None = None
    ) -> list[Manifest]:
        self._check("list", resource)
        wanted = dict(part.split("=") for part in labels.split(",")) if labels else {}
        return [
            copy.deepcopy(each)
            for (plural, place, _), each in sorted(self.objects.items())
            if plural == resource.plural
            and namespace in (None, place)
            and wanted.items() <= (each["metadata"].get("labels") or {}).items()
            and (not fields or fields.split("=")[1] == each.get("involvedObject", {}).get("uid"))
        ]

    def watch(self, resource: Resource, namespace: str, name: str, *, seconds: float) -> Iterator[Manifest | None]:
        yield self.get(resource, namespace, name)
        for change in self.changes.get(name, ()):
            if change is not None:
                self.objects[resource.plural, namespace, name] = change
            yield copy.deepcopy(change)

    def create(self, resource: Resource, namespace: str | None, manifest: Manifest) -> Manifest:
        self._check("create", resource)
        made = copy.deepcopy(manifest)
        if prefix := made["metadata"].pop("generateName", None):
            made["metadata"]["name"] = f"{prefix}{next(self._uids)}"
        name = made["metadata"].get("name", "")
        if (resource.plural, namespace or self.namespace, name) in self.objects:
            raise Conflict(f'{resource.plural} "{name}" already exists')
        self.sent.append(("create", resource.plural, manifest))
        if resource.plural == "selfsubjectaccessreviews":
            return made | {"status": {"allowed": True}}
        return copy.deepcopy(self.put(made, resource))

    def patch(
        self, resource: Resource, namespace: str, name: str, change: Manifest, *, strategic: bool = False
    ) -> Manifest:
        self._check("patch", resource)
        self.sent.append(("patch", resource.plural, change))
        found = self.objects[resource.plural, namespace, name] = merged(self.get(resource, namespace, name), change)
        return copy.deepcopy(found)

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        self._check("delete", resource)
        self.objects.pop((resource.plural, namespace, name), None)

    def log(
        self,
        namespace: str,
        pod: str,
        *,
        container: str | None = None,
        follow: bool = False,
        lines: int | None = None,
        previous: bool = False,
    ) -> Iterator[str]:
        if pod not in self.logs:
            raise NotFound(f'pods "{pod}" not found')
        yield from self.logs[pod][-lines if lines else 0 :]

    def proxy(
        self,
        namespace: str,
        service: str,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> Reply:
        name = service.partition(":")[0]
        answer = self.services.get(name) or self.services.get("*")
        if answer is None:
            raise Unreachable(f'no endpoints available for service "{name}"')
        return answer(method, path, body, query or {})

    def raw(self, path: str) -> Manifest:
        if path not in self.answers:
            raise NotFound(f"{path} is not served")
        return self.answers[path]

    def _check(self, verb: str, resource: Resource) -> None:
        if error := self.refuse.get((verb, resource.plural)):
            raise error


def merged(fields: Manifest, change: Manifest) -> Manifest:
    """A merge patch."""
    result = dict(fields)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            inner = isinstance(value, dict)
            result[name] = merged(result[name] if isinstance(result.get(name), dict) else {}, value) if inner else value
    return result


def a_training(name: str = "penguins-1", *, phase: str = "Succeeded", **fields: Any) -> Manifest:
    """A TrainingJob as the API server has it; `fields` go into the status, `spec` and `labels` where they belong."""
    labels = fields.pop("labels", {"model": "penguins"})
    spec = {
        "modelName": "penguins",
        "program": {"keras": {"family": "mlp", "task": "multiclassClassification"}},
        "data": {"source": {"configMap": {"name": "penguins-data", "key": "penguins.csv"}}, "label": "species"},
        "fit": {"epochs": 200},
        "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
    } | fields.pop("spec", {})
    return {
        "apiVersion": TRAINING_JOBS.api_version,
        "kind": "TrainingJob",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"phase": phase} | _status(phase) | fields,
    }


def _status(phase: str) -> Manifest:
    progress = {
        "epoch": 148, "epochs": 200, "step": 1480, "steps": 2000, "percent": 74, "summary": "148/200",
        "loss": "0.0412", "metrics": {"val_accuracy": "0.9706", "val_loss": "0.09"}, "eta": "18s",
    }  # fmt: skip
    if phase == "Running":
        return {"progress": progress, "startTime": CREATED}
    if phase == "Succeeded":
        done = progress | {"epoch": 200, "percent": 100, "summary": "200/200", "eta": "0s"}
        return {"progress": done, "startTime": CREATED, "completionTime": "2026-11-30T10:00:58Z", "model": a_model()}
    return {}


def a_model(version: int = 1, **metrics: str) -> Manifest:
    """The model in a status."""
    return {
        "name": "penguins",
        "version": version,
        "uri": f"pvc://models/penguins/{version}",
        "digest": "sha256:" + "ab" * 32,
        "sizeBytes": 113_000,
        "metrics": metrics or {"loss": "0.0401", "val_accuracy": "0.9706", "val_loss": "0.09"},
    }


def a_failure(name: str = "penguins-2", message: str = "the label 'speces' is not a column") -> Manifest:
    """A TrainingJob that has failed."""
    condition = {
        "type": "Failed", "status": "True", "reason": "BadInput", "message": message, "lastTransitionTime": CREATED,
    }  # fmt: skip
    return a_training(name, phase="Failed", conditions=[condition])


def a_ready_service(name: str = "penguins", *, version: int = 1, **status: Any) -> Manifest:
    """A ModelService that answers."""
    current = {
        "revision": "abc", "modelVersion": version, "uri": f"pvc://models/penguins/{version}", "ready": 1,
        "trainingJob": f"penguins-{version}",
    }  # fmt: skip
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "", "lastTransitionTime": CREATED}
    return {
        "apiVersion": MODEL_SERVICES.api_version,
        "kind": "ModelService",
        "metadata": {"name": name},
        "spec": {"model": {"fromTraining": {"selector": {"matchLabels": {"model": "penguins"}}}}},
        "status": {
            "observedGeneration": 1, "phase": "Ready", "conditions": [ready], "current": current, "ready": "1/1",
            "url": f"http://{name}.{NAMESPACE}.svc:8501/v1/models/penguins", "grpc": f"{name}.{NAMESPACE}.svc:8500",
        } | status,
    }  # fmt: skip


def a_pod_of(job: str, attempt: int = 0) -> Manifest:
    """The first pod of a training's attempt."""
    name = f"{job}-worker-{attempt}-0"
    labels = {"trainyard.dev/training-job": job}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels, "creationTimestamp": f"2026-11-30T10:0{attempt}:00Z"},
    }
