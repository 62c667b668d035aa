"""A pod's status as a function of what its containers do. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, assert_never

from trainyard_devcluster.events import timestamp
from trainyard_devcluster.resources import Object


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that does not run yet, or not again yet."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """A container whose process runs."""

    started: datetime


@dataclass(frozen=True, slots=True)
class Terminated:
    """A container whose process has ended."""

    exit_code: int
    reason: str
    message: str
    started: datetime | None
    finished: datetime
    container_id: str


State: TypeAlias = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class ContainerView:
    """What is known of one container."""

    name: str
    image: str
    state: State
    last: Terminated | None = None
    restarts: int = 0
    started: bool = False
    """It runs and its startup probe, if any, has succeeded."""
    ready: bool = False
    container_id: str = ""
    sidecar: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the pod failed as a whole, whatever its containers did."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PodView:
    """What is known of one pod."""

    containers: Sequence[ContainerView]
    init: Sequence[ContainerView] = ()
    host_ip: str = ""
    pod_ip: str = ""
    started: datetime | None = None
    prepared: bool = False
    """It has an address and its volumes."""
    stopped: bool = False
    """It was stopped for good: nothing of it will run again."""
    verdict: Verdict | None = None


def pod_status(pod: Object, view: PodView, now: datetime) -> Object:
    """The whole status that the node owns. Conditions of others are not in it; those that did not change keep their
    transition time."""
    phase = _phase(pod, view)
    status: Object = {
        "phase": phase,
        "conditions": _conditions(pod, view, phase, now),
        "containerStatuses": [_container_status(each) for each in view.containers],
        "hostIP": view.host_ip,
        "hostIPs": [{"ip": view.host_ip}],
    }
    if view.verdict:
        status |= {"reason": view.verdict.reason, "message": view.verdict.message}
    if view.init:
        status["initContainerStatuses"] = [_container_status(each) for each in view.init]
    if view.started:
        status["startTime"] = timestamp(view.started)
    if view.pod_ip:
        status |= {"podIP": view.pod_ip, "podIPs": [{"ip": view.pod_ip}]}
    return status


def initialized(view: PodView) -> bool:
    """Whether all init containers have done their work."""
    return all(each.started if each.sidecar else _succeeded(each.state) for each in view.init)


def _phase(pod: Object, view: PodView) -> str:
    if view.verdict:
        return "Failed"
    policy = pod["spec"].get("restartPolicy", "Always")
    ended = [each.state for each in view.containers if isinstance(each.state, Terminated)]
    all_ended = len(ended) == len(view.containers)
    if view.stopped or (policy == "Never" and _init_failed(view)):
        return "Succeeded" if all_ended and all(map(_succeeded, ended)) else "Failed"
    if not initialized(view) and not any(_has_run(each) for each in view.containers):
        return "Pending"
    if all_ended and policy != "Always" and not _sidecar_runs(view):
        if all(map(_succeeded, ended)):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    # A container that waits for its first start keeps the pod Pending; one that waits for its next start does not.
    return "Running" if all(_has_run(each) for each in view.containers) else "Pending"


def _init_failed(view: PodView) -> bool:
    return any(isinstance(each.state, Terminated) and not _succeeded(each.state) for each in view.init)


def _sidecar_runs(view: PodView) -> bool:
    return any(each.sidecar and isinstance(each.state, Running) for each in view.init)


def _has_run(view: ContainerView) -> bool:
    return not isinstance(view.state, Waiting) or view.last is not None


def _succeeded(state: State) -> bool:
    return isinstance(state, Terminated) and state.exit_code == 0


def _conditions(pod: Object, view: PodView, phase: str, now: datetime) -> list[Object]:
    wanted = [
        _condition("PodReadyToStartContainers", view.prepared and phase not in ("Succeeded", "Failed")),
        _initialized_condition(view, phase),
        *_ready_conditions(pod, view, phase),
    ]
    before = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or ()}
    return [_since(each, before.get(each["type"]), now) for each in wanted]


def _since(condition: Object, before: Object | None, now: datetime) -> Object:
    before = before or {}
    unchanged = before.get("status") == condition["status"]
    moment = before.get("lastTransitionTime") if unchanged else None
    # The patch merges conditions, so what is no longer said has to be taken back.
    withdrawn = {key: None for key in ("reason", "message") if key in before and key not in condition}
    return condition | {"lastTransitionTime": moment or timestamp(now)} | withdrawn


def _condition(kind: str, holds: bool, reason: str | None = None, message: str | None = None) -> Object:
    said = {"reason": reason, "message": message}
    return {"type": kind, "status": str(holds)} | {key: value for key, value in said.items() if value}


def _initialized_condition(view: PodView, phase: str) -> Object:
    if initialized(view):
        done = "PodCompleted" if phase == "Succeeded" else None
        return _condition("Initialized", True, done)
    missing = [each.name for each in view.init if not (each.started if each.sidecar else _succeeded(each.state))]
    message = f"containers with incomplete status: [{' '.join(missing)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", message)


def _ready_conditions(pod: Object, view: PodView, phase: str) -> list[Object]:
    if phase in ("Succeeded", "Failed"):
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
        return [_condition("ContainersReady", False, reason), _condition("Ready", False, reason)]
    sidecars = [each for each in view.init if each.sidecar]
    unready = [each.name for each in [*sidecars, *view.containers] if not each.ready]
    if unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        return [_condition(kind, False, "ContainersNotReady", message) for kind in ("ContainersReady", "Ready")]
    return [_condition("ContainersReady", True), _gated(pod)]


def _gated(pod: Object) -> Object:
    holds = {each["type"]: each["status"] == "True" for each in (pod.get("status") or {}).get("conditions") or ()}
    closed = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    closed = [gate for gate in closed if not holds.get(gate)]
    if not closed:
        return _condition("Ready", True)
    message = "; ".join(f'corresponding condition of pod readiness gate "{gate}" is not True' for gate in closed)
    return _condition("Ready", False, "ReadinessGatesNotReady", message)


def _container_status(view: ContainerView) -> Object:
    return {
        "name": view.name,
        "image": view.image,
        "imageID": f"devcluster://{view.image}" if view.container_id else "",
        "containerID": view.container_id,
        "restartCount": view.restarts,
        "started": view.started,
        "ready": view.ready,
        "state": _state(view.state),
        "lastState": _state(view.last) if view.last else {},
    }


def _state(state: State) -> Object:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        case Running(started):
            return {"running": {"startedAt": timestamp(started)}}
        case Terminated():
            return {"terminated": _terminated(state)}
        case _:
            assert_never(state)


def _terminated(state: Terminated) -> Object:
    known = {
        "message": state.message,
        "startedAt": timestamp(state.started) if state.started else "",
        "containerID": state.container_id,
    }
    ended = {"exitCode": state.exit_code, "reason": state.reason, "finishedAt": timestamp(state.finished)}
    return ended | {key: value for key, value in known.items() if value}
