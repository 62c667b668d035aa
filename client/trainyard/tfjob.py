"""Kubeflow's TFJob as a TrainingJob: what has an equivalent is taken over, and what has none is named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.cluster import Manifest
from trainyard.errors import Usage
from trainyard.fields import checked, slug
from trainyard_api.meta import API_VERSION
from trainyard_api.queueing import QUEUE_LABEL

GROUP = "kubeflow.org"
_GPU = "nvidia.com/gpu"
_WORKERS = ("Worker", "Chief", "Master")
_TEMPLATE = {
    "nodeSelector": "nodeSelector",
    "tolerations": "tolerations",
    "affinity": "affinity",
    "priorityClassName": "priorityClassName",
    "runtimeClassName": "runtimeClassName",
    "schedulerName": "schedulerName",
    "resourceClaims": "resourceClaims",
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
DATA_PLACE = {"uri": "/data"}
CONTRACT = (
    "the program has to write a model version to $TRAINYARD_MODEL_DIR and its result to "
    "$TRAINYARD_TERMINATION_MESSAGE_PATH: see the contract of a training program; several pods get TF_CONFIG"
)


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
    roles = _roles(replicas, trains, notes)
    manifest: Manifest = {
        "apiVersion": API_VERSION,
        "kind": "TrainingJob",
        "metadata": named(tfjob, notes),
        "spec": {
            "program": {"container": _program(container)},
            "data": {"source": _data(pod, container, notes), "label": "label"},
            "roles": roles,
            "output": {"store": store_of(store)},
        },
    }
    queue = (manifest["metadata"].get("labels") or {}).pop(QUEUE_LABEL, None)
    if policy := _run_policy(spec, chosen, notes) | _queue(queue, "ps" in roles, notes):
        manifest["spec"]["runPolicy"] = policy
    notes += _role_notes(replicas, trains, role, "ps" in roles)
    notes += _pod_notes(pod, container, role)
    notes.append(CONTRACT)
    return Converted(checked(manifest), tuple(notes))


def _container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = pod.get("containers") or ()
    found = next((each for each in containers if each.get("name") == "tensorflow"), next(iter(containers), None))
    if not found or not found.get("image"):
        raise Usage("the TFJob's pod has no container with an image")
    return found  # type: ignore[no-any-return]


def _pod_of(replica: Mapping[str, Any]) -> Mapping[str, Any]:
    return (replica.get("template") or {}).get("spec") or {}


def _roles(replicas: Mapping[str, Any], trains: Sequence[tuple[str, Mapping[str, Any]]], notes: list[str]) -> Manifest:
    """Return the roles: with parameter servers a chief of its own, else all that train as workers."""
    role, chosen = trains[0]
    pod = _pod_of(chosen)
    pods = pods_of(pod, _container(pod))
    if role != "Worker" or "PS" not in replicas:
        count = sum(int(each.get("replicas", 1)) for _, each in trains)
        return {"worker": {"replicas": count} | pods}
    found: Manifest = {"worker": {"replicas": int(chosen.get("replicas", 1))} | pods}
    if len(trains) > 1:
        found["chief"] = _other(trains[1][0], trains[1][1], _container(pod), notes)
    else:
        notes.append("Worker: worker 0 is no chief any more: a chief is added, which hands out the steps")
    servers = replicas["PS"]
    found["ps"] = {"replicas": int(servers.get("replicas", 1))} | _other("PS", servers, _container(pod), notes)
    return found


def _other(role: str, replica: Mapping[str, Any], program: Mapping[str, Any], notes: list[str]) -> Manifest:
    """Return the pods of a chief or of parameter servers, which run the program of the workers and have no GPUs."""
    pod = _pod_of(replica)
    container = _container(pod)
    pods = pods_of(pod, container)
    if pods.pop("gpus", None):
        notes.append(f"{role}: GPUs: no equivalent; with parameter servers only workers have GPUs")
    if differs := [key for key in ("image", "command", "args") if container.get(key) != program.get(key)]:
        notes.append(f"{role}: {', '.join(differs)}: every role runs the program of Worker; let it look at TF_CONFIG")
    return pods


def _queue(queue: str | None, servers: bool, notes: list[str]) -> Manifest:
    if queue is None:
        return {}
    if servers:
        notes.append(f"label {QUEUE_LABEL}: no equivalent with parameter servers; a queue admits one Job")
        return {}
    return {"queueName": queue}


def store_of(store: str) -> Manifest:
    """Return the store of a TrainingJob: a claim, or a URI."""
    return {"uri": store} if "://" in store else {"persistentVolumeClaim": {"claimName": store}}


def named(job: Mapping[str, Any], notes: list[str]) -> Manifest:
    """Return the metadata of the TrainingJob that is made of another job."""
    metadata = job.get("metadata") or {}
    old = str(metadata.get("name") or "")
    name = slug(old)
    if name != old:
        notes.append(f"metadata.name {old!r} became {name!r}: names start with a letter and have 50 characters at most")
    found: Manifest = {"name": name or "training"}
    found |= {key: metadata[key] for key in ("namespace", "annotations") if metadata.get(key)}
    return found | ({"labels": dict(metadata["labels"])} if metadata.get("labels") else {})


def _program(container: Mapping[str, Any]) -> Manifest:
    return {key: container[key] for key in ("image", "command", "args") if container.get(key)}


def pods_of(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Manifest:
    """Return what a role of a TrainingJob has of a pod and its container: GPUs, resources and the template."""
    worker: Manifest = {}
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
    return dict(DATA_PLACE)


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
    if chosen.get("restartPolicy") == "ExitCode":
        notes.append("restartPolicy ExitCode: 2 and 3 are final, all others are tried again, maxRestarts times")
    if given.get("managedBy"):
        notes.append(
            "runPolicy.managedBy: left out; name a queue by runPolicy.queueName, or set spec.managedBy if that "
            "controller knows TrainingJobs"
        )
    return policy | _scheduling(given.get("schedulingPolicy") or {}, notes)


def _scheduling(given: Mapping[str, Any], notes: list[str]) -> Manifest:
    elsewhere = {
        "minAvailable": "all pods of a Job are admitted together by a queue (runPolicy.queueName)",
        "minResources": "a queue counts what the pods ask for",
        "queue": "with Kueue set runPolicy.queueName; for Volcano set template.schedulerName and its annotation",
        "priorityClass": "set roles.worker.template.priorityClassName",
    }
    notes += [
        f"runPolicy.schedulingPolicy.{field}: no equivalent; {what}"
        for field, what in elsewhere.items()
        if given.get(field)
    ]
    seconds = given.get("scheduleTimeoutSeconds")
    return {"startupTimeout": f"{int(seconds)}s"} if seconds else {}


def _role_notes(
    replicas: Mapping[str, Any], trains: Sequence[tuple[str, Mapping[str, Any]]], role: str, servers: bool
) -> Iterator[str]:
    if "PS" in replicas and not servers:
        yield "PS: parameter servers need a Worker; without one the chief trains alone"
    if "Evaluator" in replicas:
        yield "Evaluator: no equivalent; let the chief evaluate, or run a TrainingJob of its own on the checkpoints"
    for other, _ in () if servers else trains[1:]:
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
