"""Subresources that are actions: binding, eviction and tokens."""

from trainyard_devcluster import selectors
from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.auth.tokens import AUDIENCE, Signer, service_account_claims
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.deletion import DeleteOptions, delete
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.store import Stored
from trainyard_devcluster.apiserver.values import Object, clone, dig, timestamp

_MINIMAL_SECONDS, _DEFAULT_SECONDS = 600, 3600


def success(code: int = 201) -> Object:
    """Return the Status of an action that was done."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}


def bind(cluster: Cluster, resource: Resource, stored: Stored, binding: Object) -> Object:
    """Assign a pod to a node.

    Raises:
        ApiError: 409, it is assigned or being deleted; 422, the binding names no node.
    """
    pod, name = stored.obj, stored.obj["metadata"]["name"]
    node = dig(binding, "target", "name")
    if not node:
        raise errors.invalid("Binding", "", name, [errors.required("target.name")])
    if dig(pod, "spec", "nodeName"):
        why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise errors.conflict("pods/binding", "", name, why)
    if pod["metadata"].get("deletionTimestamp"):
        raise errors.conflict("pods/binding", "", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if dig(pod, "spec", "schedulingGates"):
        raise errors.conflict("pods/binding", "", name, f"pod {name} has non-empty .spec.schedulingGates")
    uid = dig(binding, "metadata", "uid")
    if uid and uid != pod["metadata"]["uid"]:
        raise errors.conflict("pods/binding", "", name, "the UID in the binding is another pod's")
    new = clone(pod)
    new["spec"]["nodeName"] = node
    annotations = dig(binding, "metadata", "annotations")
    if annotations:
        new["metadata"]["annotations"] = (new["metadata"].get("annotations") or {}) | annotations
    status = new.setdefault("status", {})
    others = [each for each in status.get("conditions") or () if each["type"] != "PodScheduled"]
    scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": cluster.now}
    status["conditions"] = [*others, scheduled]
    cluster.store.put(resource.storage, (new["metadata"]["namespace"], name), new)
    return success()


def evict(cluster: Cluster, resource: Resource, stored: Stored, eviction: Object) -> Object:
    """Delete a pod unless its disruption budget forbids it.

    Raises:
        ApiError: 429, the budget is used up.
    """
    pod = stored.obj
    metadata = pod["metadata"]
    budget = next((each for each in _budgets(cluster, pod)), None)
    runs = dig(pod, "status", "phase") == "Running" and not metadata.get("deletionTimestamp")
    if budget is not None and runs and not _may_go_anyway(pod, budget):
        left = dig(budget, "status", "disruptionsAllowed") or 0
        if left <= 0:
            cause = {
                "reason": "DisruptionBudget",
                "message": f"The disruption budget {budget['metadata']['name']} needs more healthy pods",
            }
            why = "Cannot evict pod as it would violate the pod's disruption budget."
            raise errors.ApiError(429, "TooManyRequests", why, {"causes": [cause]})
        taken = clone(budget)
        taken["status"]["disruptionsAllowed"] = left - 1
        # Until the controller has seen that the pod is going, this tells it.
        taken["status"]["disruptedPods"] = (taken["status"].get("disruptedPods") or {}) | {
            metadata["name"]: cluster.now
        }
        key = (metadata["namespace"], budget["metadata"]["name"])
        cluster.store.put("poddisruptionbudgets.policy", key, taken)
    delete(cluster, resource, stored, DeleteOptions.of(eviction.get("deleteOptions"), {}))
    return success()


def _may_go_anyway(pod: Object, budget: Object) -> bool:
    """Return whether a pod that is not ready may go, whatever is left of its budget."""
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in dig(pod, "status", "conditions") or ())
    if ready:
        return False
    if dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = dig(budget, "status", "currentHealthy") or 0, dig(budget, "status", "desiredHealthy") or 0
    return bool(healthy >= desired > 0)


def _budgets(cluster: Cluster, pod: Object) -> list[Object]:
    labels, namespace = pod["metadata"].get("labels"), pod["metadata"]["namespace"]
    found = cluster.store.objects("poddisruptionbudgets.policy", namespace)
    return [each for each in found if selectors.matches(dig(each, "spec", "selector"), labels)]


def request_token(cluster: Cluster, signer: Signer, account: Object, request: Object) -> Object:
    """Return a TokenRequest with a token for a service account.

    Raises:
        ApiError: 422, the token is to live shorter than ten minutes; 404, the pod it is for does not exist.
    """
    spec = request.get("spec") or {}
    seconds = spec.get("expirationSeconds") or _DEFAULT_SECONDS
    if seconds < _MINIMAL_SECONDS:
        problem = errors.invalid_value(
            "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"
        )
        raise errors.invalid("TokenRequest", "authentication.k8s.io", "", [problem])
    bound = spec.get("boundObjectRef")
    if bound and bound.get("kind") == "Pod":
        pod = cluster.store.get("pods", (account["metadata"]["namespace"], bound["name"]))
        if pod is None:
            raise errors.not_found("pods", "", bound["name"])
        bound = bound | {"uid": pod.obj["metadata"]["uid"]}
    issued = int(cluster.clock().timestamp())
    claims = service_account_claims(
        account, audiences=spec.get("audiences") or [], issued=issued, seconds=seconds, bound=bound
    )
    metadata = account["metadata"]
    expires = timestamp(cluster.clock().fromtimestamp(issued + seconds).astimezone())
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "creationTimestamp": cluster.now},
        "spec": {
            "audiences": spec.get("audiences") or [AUDIENCE],
            "expirationSeconds": seconds,
            "boundObjectRef": bound,
        },
        "status": {"token": signer.sign(claims), "expirationTimestamp": expires},
    }


def finalize(cluster: Cluster, resource: Resource, stored: Stored, sent: Object) -> Object:
    """Set a namespace's own finalizers; without any left it goes."""
    old = stored.obj
    version = dig(sent, "metadata", "resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise errors.conflict(resource.plural, resource.group, old["metadata"]["name"], errors.STALE)
    new = old | {"metadata": dict(old["metadata"]), "spec": {"finalizers": dig(sent, "spec", "finalizers") or []}}
    if not new["spec"]["finalizers"]:
        new["spec"] = {}
    name = old["metadata"]["name"]
    put = cluster.store.put(resource.storage, ("", name), new).obj
    metadata = put["metadata"]
    if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not new["spec"]:
        return cluster.store.delete(resource.storage, ("", name)).obj
    return put
