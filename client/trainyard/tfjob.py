"""Kubeflow's TFJob as a TrainingJob: what has an equivalent is taken over, and what has none is named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.cluster import Manifest
from trainyard.errors import Usage
from trainyard.fields import checked, slug
from trainyard_api.meta import API_VERSION

GROUP = "kubeflow.org"
_GPU = "nvidia.com/gpu"
_WORKERS = ("Worker", "Chief", "Master")
_TEMPLATE = {
    "nodeSelector": "nodeSelector",
    "tolerations": "tolerations",
    "affinity": "affinity",
    "priorityClassName": "priorityClassName",
    "runtimeClassName": "runtimeClassName",
    "serviceAccountName": "serviceAccountName",
    "imagePullSecrets": "imagePullSecrets",
}
_ORDINARY_POD = {*_TEMPLATE, "containers", "restartPolicy", "volumes"}
_ORDINARY_CONTAINER = {
    "name",
    "image",
    "command",
    "args",
    "env",
    "resources",
    "ports",
    "volumeMounts",
    "imagePullPolicy",
}
_DATA_PLACE = {"uri": "/data"}


@dataclass(frozen=True, slots=True)
class Converted:
    """A TrainingJob, and what of the TFJob is not in it, each with what to do about it."""

    manifest: Manifest
    notes: tuple[str, ...]


def convert(tfjob: Mapping[str, Any], *, store: str) -> Converted:
    """Return the TrainingJob that comes nearest to a TFJob.

    Args:
        tfjob: The TFJob, of kubeflow.org/v1.
        store: Claim, or URI, for the models: a TFJob has none, and leaves what it trains where its program puts it.

    Raises:
        Usage: it is no TFJob, or one without a pod that trains.
    """
    if tfjob.get("kind") != "TFJob" or not str(tfjob.get("apiVersion", "")).startswith(f"{GROUP}/"):
        raise Usage(f"expected a TFJob of {GROUP}/v1, got {tfjob.get('apiVersion')} {tfjob.get('kind')}")
    spec = tfjob.get("spec") or {}
    replicas = spec.get("tfReplicaSpecs") or {}
    notes: list[str] = []
    trains = [(role, replicas[role]) for role in _WORKERS if role in replicas]
    if not trains:
        raise Usage(
            f"the TFJob has no Worker, Chief or Master among its tfReplicaSpecs ({', '.join(replicas) or 'none'})"
        )
    role, chosen = trains[0]
    pod = (chosen.get("template") or {}).get("spec") or {}
    container = _container(pod)
    count = sum(int(each.get("replicas", 1)) for _, each in trains)
    manifest: Manifest = {
        "apiVersion": API_VERSION,
        "kind": "TrainingJob",
        "metadata": _metadata(tfjob, notes),
        "spec": {
            "program": {"container": _program(container)},
            "data": {"source": _data(pod, container, notes), "label": "label"},
            "roles": {"worker": _worker(count, pod, container)},
            "output": {"store": {"uri": store} if "://" in store else {"persistentVolumeClaim": {"claimName": store}}},
        },
    }
    if policy := _run_policy(spec, chosen, notes):
        manifest["spec"]["runPolicy"] = policy
    notes += _role_notes(replicas, trains, role)
    notes += _pod_notes(pod, container, role)
    notes.append(
        "the program has to write a model version to $TRAINYARD_MODEL_DIR and its result to "
        "$TRAINYARD_TERMINATION_MESSAGE_PATH: see the contract of a training program; TF_CONFIG comes as before"
    )
    return Converted(checked(manifest), tuple(notes))


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = pod.get("containers") or ()
    found = next((each for each in containers if each.get("name") == "tensorflow"), next(iter(containers), None))
    if not found or not found.get("image"):
        raise Usage("the TFJob's pod has no container with an image")
    return found  # type: ignore[no-any-return]


def _metadata(tfjob: Mapping[str, Any], notes: list[str]) -> Manifest:
    metadata = tfjob.get("metadata") or {}
    old = str(metadata.get("name") or "")
    name = slug(old)
    if name != old:
        notes.append(f"metadata.name {old!r} became {name!r}: names start with a letter and have 50 characters at most")
    found: Manifest = {"name": name or "training"}
    found |= {key: metadata[key] for key in ("namespace", "labels", "annotations") if metadata.get(key)}
    return found


def _program(container: Mapping[str, Any]) -> Manifest:
    return {key: container[key] for key in ("image", "command", "args") if container.get(key)}


def _worker(count: int, pod: Mapping[str, Any], container: Mapping[str, Any]) -> Manifest:
    worker: Manifest = {"replicas": count}
    resources = {key: dict(value) for key, value in (container.get("resources") or {}).items() if value}
    amounts = [each.pop(_GPU) for each in resources.values() if _GPU in each]
    if amounts:
        worker["gpus"] = int(amounts[0])
    if kept := {key: value for key, value in resources.items() if value and key in ("requests", "limits")}:
        worker["resources"] = kept
    template = {ours: pod[theirs] for theirs, ours in _TEMPLATE.items() if pod.get(theirs)}
    if container.get("env"):
        template["env"] = container["env"]
    return worker | ({"template": template} if template else {})


def _data(pod: Mapping[str, Any], container: Mapping[str, Any], notes: list[str]) -> Manifest:
    """The first claim or ConfigMap that the container mounts is its data; a program may read elsewhere as well."""
    mounts = {each["name"]: each["mountPath"] for each in container.get("volumeMounts") or ()}
    for volume in pod.get("volumes") or ():
        name, where = volume.get("name"), mounts.get(volume.get("name"), "")
        if claim := volume.get("persistentVolumeClaim"):
            notes.append(f"volume {name}: mounted at $TRAINYARD_DATA_DIR instead of {where}; read from there")
            return {"persistentVolumeClaim": {"claimName": claim["claimName"]}}
        if config := volume.get("configMap"):
            notes.append(f"volume {name}: mounted at $TRAINYARD_DATA_DIR instead of {where}; read from there")
            return {"configMap": {"name": config["name"]}}
    notes.append("spec.data.source: a TFJob does not say where its data is; correct the path /data, or name a URI")
    return dict(_DATA_PLACE)


def _run_policy(spec: Mapping[str, Any], chosen: Mapping[str, Any], notes: list[str]) -> Manifest:
    given = spec.get("runPolicy") or {}
    policy: Manifest = {}
    if given.get("suspend"):
        policy["suspend"] = True
    if given.get("activeDeadlineSeconds"):
        policy["activeDeadline"] = f"{int(given['activeDeadlineSeconds'])}s"
    if given.get("backoffLimit") is not None:
        policy["maxRestarts"] = int(given["backoffLimit"])
    elif chosen.get("restartPolicy") == "Never":
        policy["maxRestarts"] = 0
    if given.get("cleanPodPolicy") in ("Running", "All", "None"):
        policy["cleanPods"] = given["cleanPodPolicy"]
    if given.get("ttlSecondsAfterFinished") is not None:
        policy["ttlAfterFinished"] = f"{max(1, int(given['ttlSecondsAfterFinished']))}s"
        notes.append("runPolicy.ttlSecondsAfterFinished: Jobs and pods go; the TrainingJob stays as a record")
    elsewhere = {
        "schedulingPolicy": "gang scheduling is up to the cluster's scheduler, such as Kueue",
        "managedBy": "name the queue by the label kueue.x-k8s.io/queue-name",
    }
    notes += [f"runPolicy.{field}: no equivalent; {what}" for field, what in elsewhere.items() if given.get(field)]
    return policy


def _role_notes(
    replicas: Mapping[str, Any], trains: Sequence[tuple[str, Mapping[str, Any]]], role: str
) -> Iterator[str]:
    if "PS" in replicas:
        yield "PS: the workers train in step instead (see the page on several workers), or the program brings its own"
    if "Evaluator" in replicas:
        yield "Evaluator: no equivalent; worker 0 judges the model on the validation rows"
    for other, _ in trains[1:]:
        yield f"{other}: counted among the workers; worker 0 is the chief, with the pod of {role}"


def _pod_notes(pod: Mapping[str, Any], container: Mapping[str, Any], role: str) -> Iterator[str]:
    for other in pod.get("containers") or ():
        if other is not container:
            yield f"{role}: container {other.get('name')}: no equivalent; a training pod has one container"
    for field in sorted(set(pod) - _ORDINARY_POD):
        yield f"{role}: pod field {field}: no equivalent; the operator sets what a restricted namespace asks for"
    for field in sorted(set(container) - _ORDINARY_CONTAINER):
        yield f"{role}: container field {field}: no equivalent"
    claims = [each for each in pod.get("volumes") or () if each.get("persistentVolumeClaim") or each.get("configMap")]
    others = [each for each in pod.get("volumes") or () if each not in claims] + claims[1:]
    for volume in others:
        yield f"{role}: volume {volume.get('name')}: no equivalent; /tmp and the store can be written"
