"""First status, quality of service and grace period of pods."""

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.defaults.pods import containers_of
from trainyard_devcluster.apiserver.values import Object

_COMPUTE = ("cpu", "memory")


def begin(cluster: Cluster, pod: Object, old: Object | None) -> None:
    """Give a new pod its first status."""
    if old is None:
        pod["status"] = {"phase": "Pending", "qosClass": quality_of_service(pod["spec"])}
        if pod["spec"].get("schedulingGates"):
            waiting = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
            pod["status"]["conditions"] = [waiting]


def quality_of_service(spec: Object) -> str:
    """Return Guaranteed, Burstable or BestEffort."""
    guaranteed, any_set = True, False
    for container in containers_of(spec):
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        any_set = any_set or any(name in limits or name in requests for name in _COMPUTE)
        if any(name not in limits or requests.get(name, limits[name]) != limits[name] for name in _COMPUTE):
            guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def grace(pod: Object, wanted: int | None) -> int:
    """Return how many seconds a pod gets to end: none where no node runs it."""
    if not pod["spec"].get("nodeName") or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    seconds = pod["spec"].get("terminationGracePeriodSeconds", 30) if wanted is None else wanted
    return max(int(seconds), 0)
