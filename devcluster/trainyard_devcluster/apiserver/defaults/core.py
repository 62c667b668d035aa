"""Defaults of services, claims, secrets and other core kinds."""

import base64

from trainyard_devcluster.apiserver.quantities import canonical
from trainyard_devcluster.apiserver.values import Object, dig

_AFFINITY_SECONDS = 10800


def default_service(obj: Object) -> None:
    """Fill in a service, without its addresses."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "ClientIP":
        spec.setdefault("sessionAffinityConfig", {"clientIP": {"timeoutSeconds": _AFFINITY_SECONDS}})
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port")
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def default_secret(obj: Object) -> None:
    """Fill in a secret: its type, and `stringData` moved to `data`."""
    obj.setdefault("type", "Opaque")
    for key, text in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def default_claim(obj: Object) -> None:
    """Fill in a persistent volume claim."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    _canonical(dig(spec, "resources", "requests"))
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def default_volume(obj: Object) -> None:
    """Fill in a persistent volume."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    _canonical(spec.get("capacity"))
    if "hostPath" in spec:
        spec["hostPath"].setdefault("type", "")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def default_node(obj: Object) -> None:
    """Fill in a node: what it can hold is what it has, unless it says otherwise."""
    obj.setdefault("spec", {})
    status = obj.setdefault("status", {})
    for field in ("capacity", "allocatable"):
        _canonical(status.get(field))
    if status.get("capacity"):
        allocatable = status.setdefault("allocatable", {})
        for name, value in status["capacity"].items():
            allocatable.setdefault(name, value)


def default_namespace(obj: Object) -> None:
    """Fill in a namespace: every one bears its own name as a label."""
    metadata = obj["metadata"]
    if metadata.get("name"):
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    obj.setdefault("spec", {})
    obj.setdefault("status", {}).setdefault("phase", "Active")


def default_storage_class(obj: Object) -> None:
    """Fill in a storage class."""
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def default_priority_class(obj: Object) -> None:
    """Fill in a priority class."""
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def default_binding(obj: Object) -> None:
    """Fill in a role binding: the groups of its role and subjects."""
    obj.setdefault("roleRef", {}).setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def default_network_policy(obj: Object) -> None:
    """Fill in a network policy: a policy with egress rules is about egress too."""
    spec = obj.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def default_ingress(obj: Object) -> None:
    """Fill in an ingress."""
    obj.setdefault("spec", {})


def default_quota(obj: Object) -> None:
    """Bring a quota's amounts into canonical form."""
    _canonical(dig(obj, "spec", "hard"))


def _canonical(amounts: Object | None) -> None:
    for name, value in (amounts or {}).items():
        if amounts is not None:
            amounts[name] = canonical(value)
