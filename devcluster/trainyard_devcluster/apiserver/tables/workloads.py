"""Columns of pods, jobs, deployments and their like."""

from datetime import datetime

from trainyard_devcluster.apiserver.selectors import format_selector
from trainyard_devcluster.apiserver.tables.age import human, since
from trainyard_devcluster.apiserver.tables.column import Cell, Column
from trainyard_devcluster.apiserver.tables.render import AGE, NAME
from trainyard_devcluster.apiserver.values import Json, Object, dig, parse_time


def field(*path: str, otherwise: Json = "<none>") -> Cell:
    """Return a cell that shows a field."""

    def cell(obj: Object, now: datetime) -> Json:
        value = dig(obj, *path)
        return otherwise if value in (None, "") else value

    return cell


def count(name: str, *path: str) -> Column:
    """Return the column of a number, 0 where it is absent."""
    return Column(name, field(*path, otherwise=0), type="integer")


def _statuses(pod: Object) -> list[Object]:
    return list(dig(pod, "status", "containerStatuses") or ())


def _ready(pod: Object, now: datetime) -> str:
    return f"{sum(bool(each.get('ready')) for each in _statuses(pod))}/{len(pod['spec'].get('containers') or ())}"


def _init_reason(pod: Object) -> str | None:
    wanted = pod["spec"].get("initContainers") or []
    sidecars = {each["name"] for each in wanted if each.get("restartPolicy") == "Always"}
    for index, status in enumerate(dig(pod, "status", "initContainerStatuses") or ()):
        state = status.get("state") or {}
        if "terminated" in state and state["terminated"].get("exitCode") == 0:
            continue
        if status["name"] in sidecars and status.get("started"):
            continue
        if "terminated" in state:
            return "Init:" + _terminated(state["terminated"])
        reason = dig(state, "waiting", "reason")
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{index}/{len(wanted)}"
    return None


def _terminated(state: Object) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state.get('exitCode', 0)}"


def pod_status(pod: Object, now: datetime) -> str:
    """Return the word that sums a pod up, as kubectl shows it."""
    status = pod.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    scheduled: Object = next((each for each in status.get("conditions") or () if each["type"] == "PodScheduled"), {})
    if scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    reason = _init_reason(pod) or _container_reason(pod, reason)
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return str(reason)


def _container_reason(pod: Object, reason: str) -> str:
    running = False
    for status in reversed(_statuses(pod)):
        state = status.get("state") or {}
        if dig(state, "waiting", "reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _terminated(state["terminated"])
        elif "running" in state and status.get("ready"):
            running = True
    if reason == "Completed" and running:
        ready = any(
            each["type"] == "Ready" and each["status"] == "True" for each in dig(pod, "status", "conditions") or ()
        )
        return "Running" if ready else "NotReady"
    return reason


def _restarts(pod: Object, now: datetime) -> str:
    statuses = _statuses(pod)
    total = sum(each.get("restartCount", 0) for each in statuses)
    ends = [end for each in statuses if (end := dig(each, "lastState", "terminated", "finishedAt"))]
    return f"{total} ({since(max(ends), now)} ago)" if total and ends else str(total)


def _gates(pod: Object, now: datetime) -> str:
    gates = pod["spec"].get("readinessGates") or ()
    conditions = {each["type"]: each["status"] for each in dig(pod, "status", "conditions") or ()}
    met = sum(conditions.get(gate["conditionType"]) == "True" for gate in gates)
    return f"{met}/{len(gates)}" if gates else "<none>"


PODS = (
    NAME,
    Column("Ready", _ready, description="Containers that are ready, of all"),
    Column("Status", pod_status, description="What the pod is doing"),
    Column("Restarts", _restarts, description="How often its containers were restarted"),
    AGE,
    Column("IP", field("status", "podIP"), priority=1),
    Column("Node", field("spec", "nodeName"), priority=1),
    Column("Nominated Node", field("status", "nominatedNodeName"), priority=1),
    Column("Readiness Gates", _gates, priority=1),
)


def _template(obj: Object) -> Object:
    pod: Object = dig(obj, "spec", "template", "spec") or {}
    return pod


def containers(obj: Object, now: datetime) -> str:
    """Return the names of the containers in an object's pod template."""
    return ",".join(each["name"] for each in _template(obj).get("containers") or ())


def images(obj: Object, now: datetime) -> str:
    """Return the images in an object's pod template."""
    return ",".join(each.get("image", "") for each in _template(obj).get("containers") or ())


def selector(obj: Object, now: datetime) -> str:
    """Return an object's label selector."""
    return format_selector(dig(obj, "spec", "selector")) or "<none>"


_WIDE = (Column("Containers", containers, priority=1), Column("Images", images, priority=1))
_SELECTOR = Column("Selector", selector, priority=1)


def _of_wanted(path: str) -> Cell:
    return lambda obj, now: f"{dig(obj, 'status', path) or 0}/{dig(obj, 'spec', 'replicas') or 0}"


DEPLOYMENTS = (
    NAME,
    Column("Ready", _of_wanted("readyReplicas")),
    count("Up-to-date", "status", "updatedReplicas"),
    count("Available", "status", "availableReplicas"),
    AGE,
    *_WIDE,
    _SELECTOR,
)
REPLICA_SETS = (
    NAME,
    count("Desired", "spec", "replicas"),
    count("Current", "status", "replicas"),
    count("Ready", "status", "readyReplicas"),
    AGE,
    *_WIDE,
    _SELECTOR,
)
STATEFUL_SETS = (NAME, Column("Ready", _of_wanted("readyReplicas")), AGE, *_WIDE)
DAEMON_SETS = (
    NAME,
    count("Desired", "status", "desiredNumberScheduled"),
    count("Current", "status", "currentNumberScheduled"),
    count("Ready", "status", "numberReady"),
    count("Up-to-date", "status", "updatedNumberScheduled"),
    count("Available", "status", "numberAvailable"),
    AGE,
    *_WIDE,
    _SELECTOR,
)


def _job_status(job: Object, now: datetime) -> str:
    conditions = {each["type"] for each in dig(job, "status", "conditions") or () if each["status"] == "True"}
    for condition, shown in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if condition in conditions:
            return shown
    return "Terminating" if job["metadata"].get("deletionTimestamp") else "Running"


def _completions(job: Object, now: datetime) -> str:
    succeeded = dig(job, "status", "succeeded") or 0
    wanted = dig(job, "spec", "completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = dig(job, "spec", "parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(job: Object, now: datetime) -> str:
    start, end = dig(job, "status", "startTime"), dig(job, "status", "completionTime")
    if not start:
        return ""
    finish = parse_time(end) if end else now
    return human(int((finish - parse_time(start)).total_seconds()))


JOBS = (
    NAME,
    Column("Status", _job_status),
    Column("Completions", _completions),
    Column("Duration", _duration),
    AGE,
    *_WIDE,
    _SELECTOR,
)
CRON_JOBS = (
    NAME,
    Column("Schedule", field("spec", "schedule")),
    Column("Timezone", field("spec", "timeZone")),
    Column("Suspend", lambda obj, now: str(bool(dig(obj, "spec", "suspend")))),
    Column("Active", lambda obj, now: len(dig(obj, "status", "active") or ()), type="integer"),
    Column(
        "Last Schedule",
        lambda obj, now: since(time, now) if (time := dig(obj, "status", "lastScheduleTime")) else "<none>",
    ),
    AGE,
)


def _metrics(hpa: Object, now: datetime) -> str:
    current = {
        dig(each, "resource", "name"): dig(each, "resource", "current", "averageUtilization")
        for each in dig(hpa, "status", "currentMetrics") or ()
    }
    shown = []
    for each in dig(hpa, "spec", "metrics") or ():
        name, target = dig(each, "resource", "name"), dig(each, "resource", "target", "averageUtilization")
        if name and target is not None:
            now_at = current.get(name)
            shown.append(f"{name}: {'<unknown>' if now_at is None else f'{now_at}%'}/{target}%")
    return ", ".join(shown) or "<none>"


AUTOSCALERS = (
    NAME,
    Column("Reference", lambda obj, now: "{kind}/{name}".format(**obj["spec"]["scaleTargetRef"])),
    Column("Targets", _metrics),
    Column("MinPods", lambda obj, now: str(dig(obj, "spec", "minReplicas") or "<unset>")),
    count("MaxPods", "spec", "maxReplicas"),
    count("Replicas", "status", "currentReplicas"),
    AGE,
)
DISRUPTION_BUDGETS = (
    NAME,
    Column("Min Available", lambda obj, now: str(dig(obj, "spec", "minAvailable") or "N/A")),
    Column("Max Unavailable", lambda obj, now: str(dig(obj, "spec", "maxUnavailable") or "N/A")),
    count("Allowed Disruptions", "status", "disruptionsAllowed"),
    AGE,
)
