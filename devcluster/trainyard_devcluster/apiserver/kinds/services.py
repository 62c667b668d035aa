"""Addresses and node ports of services."""

from collections.abc import Iterator

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.errors import ApiError, invalid, invalid_value
from trainyard_devcluster.apiserver.values import Object

_NODE_PORTS = range(30000, 32768)
KUBERNETES = "kubernetes"


def allocate(cluster: Cluster, service: Object, old: Object | None) -> None:
    """Give a service its cluster address and node ports; an update keeps those it has.

    Raises:
        ApiError: 422, the wanted address or port is taken, or none is left.
    """
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        return
    before = (old or {}).get("spec") or {}
    if before.get("clusterIP") and not spec.get("clusterIP"):
        spec["clusterIP"] = before["clusterIP"]
    if not spec.get("clusterIP"):
        spec["clusterIP"] = _free_address(cluster)
    elif spec["clusterIP"] != before.get("clusterIP") and spec["clusterIP"] != "None":
        _claim(cluster, service)
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _allocate_ports(cluster, service, before)
    service.setdefault("status", {"loadBalancer": {}})


def _taken(cluster: Cluster) -> set[str]:
    return {each["spec"].get("clusterIP", "") for each in cluster.store.objects("services")}


def _free_address(cluster: Cluster) -> str:
    taken = _taken(cluster)
    hosts = cluster.service_network.hosts()
    next(hosts)  # The first is the API server's own.
    for address in hosts:
        if str(address) not in taken:
            return str(address)
    raise ApiError(500, "InternalError", f"failed to allocate a serviceIP: {cluster.service_network} is full")


def _claim(cluster: Cluster, service: Object) -> None:
    wanted = service["spec"]["clusterIP"]
    if wanted in _taken(cluster):
        problem = f"failed to allocate IP {wanted}: provided IP is already allocated"
        found = [invalid_value("spec.clusterIPs", [wanted], problem)]
        raise invalid("Service", "", service["metadata"].get("name", ""), found)


def _node_ports(cluster: Cluster, except_uid: str | None) -> Iterator[int]:
    for each in cluster.store.objects("services"):
        if each["metadata"].get("uid") != except_uid:
            for port in each["spec"].get("ports") or ():
                if port.get("nodePort"):
                    yield port["nodePort"]


def _allocate_ports(cluster: Cluster, service: Object, before: Object) -> None:
    taken = set(_node_ports(cluster, service["metadata"].get("uid")))
    known = {(each.get("name"), each["port"]): each.get("nodePort") for each in before.get("ports") or ()}
    for port in service["spec"].get("ports") or ():
        wanted = port.get("nodePort") or known.get((port.get("name"), port["port"]))
        if wanted in taken:
            problem = "provided port is already allocated"
            found = [invalid_value("spec.ports[0].nodePort", wanted, problem)]
            raise invalid("Service", "", service["metadata"].get("name", ""), found)
        port["nodePort"] = wanted or next(each for each in _NODE_PORTS if each not in taken)
        taken.add(port["nodePort"])
