"""A TrainJob of Kubeflow Trainer as a TrainingJob, where its container trains with TensorFlow."""

from collections.abc import Iterator, Mapping
from typing import Any

from trainyard.cluster import Manifest
from trainyard.errors import Usage
from trainyard.fields import checked
from trainyard.tfjob import CONTRACT, DATA_PLACE, Converted, named, pods_of, store_of
from trainyard_api.meta import API_VERSION

GROUP = "trainer.kubeflow.org"
_ELSEWHERE = {
    "managedBy": "set managedBy if that controller knows TrainingJobs, or a queue by runPolicy.queueName",
    "podTemplateOverrides": "set roles.worker.template",
    "runtimePatches": "set roles.worker.template",
    "templatePatches": "set roles.worker.template",
}


def convert(trainjob: Mapping[str, Any], *, store: str) -> Converted:
    """Return the TrainingJob that comes nearest to a TrainJob.

    Args:
        trainjob: The TrainJob, of trainer.kubeflow.org/v1alpha1.
        store: Claim, or URI, for the models.

    Raises:
        Usage: it is no TrainJob, or its image is its runtime's.
    """
    if trainjob.get("kind") != "TrainJob" or not str(trainjob.get("apiVersion", "")).startswith(f"{GROUP}/"):
        raise Usage(f"expected a TrainJob of {GROUP}/v1alpha1, got {trainjob.get('apiVersion')} {trainjob.get('kind')}")
    spec = trainjob.get("spec") or {}
    trainer, runtime = spec.get("trainer") or {}, (spec.get("runtimeRef") or {}).get("name", "")
    if not trainer.get("image"):
        raise Usage(
            f"the TrainJob has no spec.trainer.image: it is that of its runtime {runtime!r}; write it into the "
            "TrainJob first"
        )
    notes: list[str] = []
    container = {"resources": trainer.get("resourcesPerNode"), "env": trainer.get("env")}
    manifest: Manifest = {
        "apiVersion": API_VERSION,
        "kind": "TrainingJob",
        "metadata": named(trainjob, notes),
        "spec": {
            "program": {"container": {key: trainer[key] for key in ("image", "command", "args") if trainer.get(key)}},
            "data": {"source": _data(spec, notes), "label": "label"},
            "roles": {"worker": {"replicas": int(trainer.get("numNodes") or 1)} | pods_of({}, container)},
            "output": {"store": store_of(store)},
        },
    }
    if own := {key: spec[key] for key in ("labels", "annotations") if spec.get(key)}:
        manifest["spec"]["metadata"] = own
    if policy := _run_policy(spec):
        manifest["spec"]["runPolicy"] = policy
    notes += _notes(spec, trainer, runtime)
    return Converted(checked(manifest), tuple(notes))


def _data(spec: Mapping[str, Any], notes: list[str]) -> Manifest:
    uri = ((spec.get("initializer") or {}).get("dataset") or {}).get("storageUri")
    if uri:
        notes.append(f"initializer.dataset: the program reads {uri} itself; no pod fetches it before")
        return {"uri": uri}
    notes.append("spec.data.source: a TrainJob does not say where its data is; correct the path /data, or name a URI")
    return dict(DATA_PLACE)


def _run_policy(spec: Mapping[str, Any]) -> Manifest:
    policy: Manifest = {"suspend": True} if spec.get("suspend") else {}
    if spec.get("activeDeadlineSeconds"):
        policy["activeDeadline"] = f"{int(spec['activeDeadlineSeconds'])}s"
    return policy


def _notes(spec: Mapping[str, Any], trainer: Mapping[str, Any], runtime: str) -> Iterator[str]:
    if runtime:
        yield (
            f"runtimeRef {runtime!r}: what its pods have beside the image is not taken over; set "
            "roles.worker.template, or write a TrainingProfile"
        )
    if (spec.get("initializer") or {}).get("model"):
        yield "initializer.model: no equivalent; the program fetches what it starts from"
    if trainer.get("numProcPerNode"):
        yield "trainer.numProcPerNode: no equivalent; one process uses all GPUs of its pod"
    for field, what in _ELSEWHERE.items():
        if spec.get(field):
            yield f"{field}: no equivalent; {what}"
    yield CONTRACT
