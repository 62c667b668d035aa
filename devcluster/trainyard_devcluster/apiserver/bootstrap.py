"""What a cluster holds before anyone writes to it."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from trainyard_devcluster.apiserver.body import Body
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.decoding import decode_body
from trainyard_devcluster.apiserver.request import WriteOptions
from trainyard_devcluster.apiserver.values import Object
from trainyard_devcluster.apiserver.writer import Writer

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_WORKLOADS = ["", "apps", "autoscaling", "batch", "discovery.k8s.io", "events.k8s.io", "networking.k8s.io", "policy"]


def bootstrap(cluster: Cluster, address: IPv4Address, port: int) -> None:
    """Create the first namespaces, roles and the `kubernetes` service."""
    writer = Writer(cluster)
    options = WriteOptions(manager="kube-apiserver")
    for plural, group, namespace, obj in _objects(cluster, address, port):
        resource = cluster.registry.find(group, "v1", plural)
        assert resource is not None
        writer.create(resource, namespace, decode_body(resource, Body(obj), options), options)


def _objects(cluster: Cluster, address: IPv4Address, port: int) -> Iterator[tuple[str, str, str, Object]]:
    for name in NAMESPACES:
        yield "namespaces", "", "", {"metadata": {"name": name}}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    service = {
        "type": "ClusterIP",
        "clusterIP": str(next(cluster.service_network.hosts())),
        "ports": [{"name": "https", "port": 443, "targetPort": port}],
    }
    yield "services", "", "default", {"metadata": {"name": "kubernetes", "labels": labels}, "spec": service}
    subsets = [{"addresses": [{"ip": str(address)}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}]
    yield "endpoints", "", "default", {"metadata": {"name": "kubernetes"}, "subsets": subsets}
    slice_labels = {"kubernetes.io/service-name": "kubernetes"}
    yield (
        "endpointslices",
        "discovery.k8s.io",
        "default",
        {
            "metadata": {"name": "kubernetes", "labels": slice_labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(address)], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    )
    for name, rules in _cluster_roles().items():
        yield "clusterroles", _RBAC, "", {"metadata": {"name": name}, "rules": rules}
    yield (
        "clusterrolebindings",
        _RBAC,
        "",
        {
            "metadata": {"name": "cluster-admin"},
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "Group", "name": "system:masters"}],
        },
    )
    for name, value in (("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)):
        yield "priorityclasses", "scheduling.k8s.io", "", {"metadata": {"name": name}, "value": value}


def _cluster_roles() -> dict[str, list[Object]]:
    everything = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    view = [{"apiGroups": _WORKLOADS, "resources": ["*"], "verbs": _READ}]
    edit = [{"apiGroups": _WORKLOADS, "resources": ["*"], "verbs": [*_READ, *_WRITE]}]
    roles = [{"apiGroups": [_RBAC], "resources": ["roles", "rolebindings"], "verbs": [*_READ, *_WRITE]}]
    return {"cluster-admin": everything, "admin": edit + roles, "edit": edit, "view": view}
