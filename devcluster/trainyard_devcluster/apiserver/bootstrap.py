"""What a cluster holds before anyone writes to it."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from trainyard_devcluster.apiserver.auth.roles import AUTHENTICATION, first_roles
from trainyard_devcluster.apiserver.body import Body
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.decoding import decode_body
from trainyard_devcluster.apiserver.request import WriteOptions
from trainyard_devcluster.apiserver.values import Object
from trainyard_devcluster.apiserver.writer import Writer

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_CRITICAL = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def bootstrap(cluster: Cluster, address: IPv4Address, port: int, *, client_authority: str) -> None:
    """Create what is there first: namespaces, roles, classes, the `kubernetes` service, and how to know the server.

    Args:
        cluster: an empty one.
        address: where the server listens.
        port: where the server listens.
        client_authority: the certificate (PEM) that the server's own client certificates are checked by.
    """
    writer = Writer(cluster)
    options = WriteOptions(manager="kube-apiserver")
    objects = (*_namespaces(), *_service(cluster, str(address), port), *first_roles(), *_classes(),
               _authentication(client_authority))  # fmt: skip
    for obj in objects:
        group, _, version = obj["apiVersion"].rpartition("/")
        resource = cluster.registry.of_kind(group, obj["kind"])
        assert resource is not None
        assert resource.version == version
        namespace = obj["metadata"].get("namespace", "default") if resource.namespaced else ""
        writer.create(resource, namespace, decode_body(resource, Body(obj), options), options)


def _namespaces() -> Iterator[Object]:
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _classes() -> Iterator[Object]:
    for name, value in _CRITICAL.items():
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
        }


def _authentication(client_authority: str) -> Object:
    """Where nodes and servers behind this one learn to know its certificate."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": AUTHENTICATION, "namespace": "kube-system"},
        "data": {"client-ca-file": client_authority},
    }


def _service(cluster: Cluster, address: str, port: int) -> Iterator[Object]:
    """The `kubernetes` service, whose endpoints no controller keeps."""
    name, ports = "kubernetes", [{"name": "https", "port": port, "protocol": "TCP"}]
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {
            "clusterIP": str(next(cluster.service_network.hosts())),
            "ports": [{"name": "https", "port": 443, "targetPort": port}],
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": name},
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    yield {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
