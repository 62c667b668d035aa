"""Which addresses the cluster's Services listen on, and where they lead: a pure plan, and who carries it out."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from trainyard_devcluster.node.proxy import Address, Proxy
from trainyard_devcluster.resources import Object, name_of, namespace_of

log = logging.getLogger(__name__)

Plan: TypeAlias = dict[Address, tuple[Address, ...]]
"""For each address to listen on, the backends of new connections, in a stable order."""

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
NODE_ADDRESS = "127.0.0.1"
"""Where node ports are opened."""


def plan(services: Iterable[Object], slices: Iterable[Object]) -> Plan:
    """Everything to listen on: every Service's cluster IP and node ports, over TCP."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for each in slices:
        owner = (each["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL)
        if owner and each.get("addressType") == "IPv4":
            by_service.setdefault((namespace_of(each), owner), []).append(each)
    planned: Plan = {}
    for service in services:
        slices_of = by_service.get((namespace_of(service), name_of(service)), [])
        for port in service["spec"].get("ports") or ():
            if (port.get("protocol") or "TCP") == "TCP":
                backends = _backends(slices_of, port.get("name") or "")
                planned |= dict.fromkeys(_listens_on(service, port), backends)
    return planned


def _listens_on(service: Object, port: Object) -> list[Address]:
    addresses: list[Address] = []
    cluster_ip = service["spec"].get("clusterIP")
    if cluster_ip and cluster_ip != "None" and ":" not in cluster_ip:
        addresses.append((cluster_ip, port["port"]))
    if port.get("nodePort"):
        addresses.append((NODE_ADDRESS, port["nodePort"]))
    return addresses


def _backends(slices: Iterable[Object], port_name: str) -> tuple[Address, ...]:
    ready: set[Address] = set()
    last_resort: set[Address] = set()
    for each in slices:
        numbers = [p["port"] for p in each.get("ports") or () if (p.get("name") or "") == port_name and p.get("port")]
        for endpoint in each.get("endpoints") or ():
            chosen = _rank(endpoint.get("conditions") or {}, ready, last_resort)
            if chosen is not None:
                chosen.update((address, number) for address in endpoint["addresses"] for number in numbers)
    return tuple(sorted(ready or last_resort))


def _rank(conditions: Object, ready: set[Address], last_resort: set[Address]) -> set[Address] | None:
    is_ready = conditions.get("ready") is not False
    if is_ready:
        return ready
    # As kube-proxy does: pods that shut down but still answer are better than no pods at all.
    serving = conditions.get("serving") is not False if "serving" in conditions else is_ready
    return last_resort if serving and conditions.get("terminating") else None


class ServiceProxy:
    """Keeps one `Proxy` per planned address."""

    def __init__(self, usable: Callable[[str], bool]) -> None:
        self._usable = usable
        self._proxies: dict[Address, Proxy] = {}
        self._failed: set[Address] = set()

    async def apply(self, planned: Mapping[Address, tuple[Address, ...]]) -> None:
        """Open, change and close ports until they are as planned. A port that cannot be opened is tried again on the
        next call."""
        for address in self._proxies.keys() - planned.keys():
            await self._proxies.pop(address).close()
        for address, backends in planned.items():
            if self._usable(address[0]):
                proxy = self._proxies.setdefault(address, Proxy(address))
                await self._set(proxy, backends)

    async def close(self) -> None:
        """Close every port."""
        await asyncio.gather(*(proxy.close() for proxy in self._proxies.values()))
        self._proxies.clear()

    async def _set(self, proxy: Proxy, backends: tuple[Address, ...]) -> None:
        try:
            await proxy.set_backends(backends)
        except OSError as error:
            if proxy.listen not in self._failed:
                log.warning("cannot listen on %s:%d for a Service: %s", *proxy.listen, error)
            self._failed.add(proxy.listen)
        else:
            self._failed.discard(proxy.listen)
