"""The node's own objects: its Node, kept as it should be, and its Lease, renewed."""

import asyncio
import logging
import platform
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from trainyard_devcluster.client import AlreadyExistsError, ApiError, Client, ConflictError, NotFoundError, PatchType
from trainyard_devcluster.events import timestamp, utc_now
from trainyard_devcluster.node.settings import Settings
from trainyard_devcluster.resources import LEASES, NODES, Object, uid_of

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
STATUS_SECONDS = 60.0
RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.1
FALLBACK_CIDR = "127.96.0.0/16"
"""Pod addresses where the cluster gives none: loopback addresses that no devcluster's launcher takes for its own."""
NOT_READY_TAINT = "node.kubernetes.io/not-ready"
VERSION = "v1.36.0+trainyard-devcluster"
"""A kubelet may be no newer than the API server, and clients read the node's version: this is what we behave like."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's architecture as Kubernetes names it."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def labels(settings: Settings) -> dict[str, str]:
    """The labels every node has, and those it was given."""
    known = {"kubernetes.io/hostname": settings.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture()}
    return known | settings.labels


def node_status(settings: Settings, port: int, before: Object, now: datetime) -> Object:
    """The Node's status. Conditions keep their transition time."""
    return {
        "capacity": settings.capacity,
        "allocatable": settings.capacity,
        # No Hostname: an API server prefers it, and our name need not be known to any DNS.
        "addresses": [{"type": "InternalIP", "address": settings.address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "conditions": _conditions(before, now),
        "nodeInfo": node_info(),
    }


def node_info() -> Object:
    """What this machine is."""
    return {
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
        "kernelVersion": platform.release(),
        "osImage": platform.platform(terse=True),
        "containerRuntimeVersion": "devcluster://local-processes",
        "kubeletVersion": VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": architecture(),
    }


def _conditions(before: Object, now: datetime) -> list[Object]:
    old = {each["type"]: each for each in before.get("conditions") or ()}
    wanted = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "the node agent does not measure memory pressure"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "the node agent does not measure disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "the node agent does not measure process ids"),
        ("Ready", "True", "KubeletReady", "the node agent runs pods as local processes"),
    ]
    conditions = []
    for kind, status, reason, message in wanted:
        same = old.get(kind, {}).get("status") == status
        since = old[kind]["lastTransitionTime"] if same else timestamp(now)
        condition = {"type": kind, "status": status, "reason": reason, "message": message}
        conditions.append(condition | {"lastHeartbeatTime": timestamp(now), "lastTransitionTime": since})
    return conditions


class Registration:
    """Keeps one Node and its Lease. `node` is the Node as last written."""

    def __init__(self, client: Client, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self.node: Object = {}
        self.ready = asyncio.Event()

    async def register(self) -> Object:
        """Make the Node, or take over the one with our name, not yet Ready. Tries until the API server answers."""
        while True:
            try:
                self.node = await self._make()
            except ApiError as error:
                log.warning("cannot register node %s: %s", self._settings.name, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return self.node

    async def pod_cidr(self) -> str:
        """The range of the node's pods: the Node's podCIDR, for which a cluster may need a moment, else a fallback."""
        try:
            async with asyncio.timeout(self._settings.pod_cidr_patience):
                return await self._given_cidr()
        except TimeoutError:
            log.warning(
                "the cluster gave node %s no podCIDR within %g s: its pods get addresses of %s, which no other machine "
                "reaches and a Kubernetes control plane refuses in Services. Let the controller manager give one "
                "(--allocate-node-cidrs), or start the node agent with --pod-cidr.",
                self._settings.name,
                self._settings.pod_cidr_patience,
                FALLBACK_CIDR,
            )
            return FALLBACK_CIDR

    async def _given_cidr(self) -> str:
        while not (cidr := self.node["spec"].get("podCIDR")):
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.node = await self._client.get(NODES, self._settings.name)
            except ApiError as error:
                log.warning("cannot read node %s: %s", self._settings.name, error)
                await asyncio.sleep(RETRY_SECONDS)
        if self._settings.pod_cidr not in (None, cidr):
            log.warning(
                "node %s has the podCIDR %s already and keeps it: for --pod-cidr %s, delete the Node and start again",
                self._settings.name,
                cidr,
                self._settings.pod_cidr,
            )
        return str(cidr)

    async def run(self, port: int) -> None:
        """Report Ready, and stay so, until cancelled. `port` is where the kubelet API listens."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(lambda: self._report(port), STATUS_SECONDS))
            group.create_task(self._repeat(self._renew, RENEW_SECONDS))

    async def _repeat(self, act: Callable[[], Awaitable[None]], period: float) -> None:
        while True:
            delay = period
            try:
                await act()
            except ApiError as error:
                log.log(
                    logging.DEBUG if isinstance(error, ConflictError) else logging.WARNING,
                    "node %s: %s; trying again",
                    self._settings.name,
                    error,
                )
                delay = RETRY_SECONDS
                if isinstance(error, NotFoundError):
                    self.node = await self.register()
            await asyncio.sleep(delay)

    async def _make(self) -> Object:
        name, labelled, chosen = self._settings.name, {"labels": labels(self._settings)}, self._settings.pod_cidr
        own: Object = {"podCIDR": chosen, "podCIDRs": [chosen]} if chosen else {}
        try:
            return await self._client.create(NODES, {"metadata": {"name": name} | labelled, "spec": own})
        except AlreadyExistsError:
            node = await self._client.patch(NODES, name, {"metadata": labelled})
        if not own or node["spec"].get("podCIDR"):  # which never changes
            return node
        return await self._client.patch(NODES, name, {"spec": own})

    async def _report(self, port: int) -> None:
        status = node_status(self._settings, port, self.node.get("status") or {}, self._clock())
        self.node = await self._client.patch(
            NODES, self._settings.name, {"status": status}, kind=PatchType.STRATEGIC, subresource="status"
        )
        self.ready.set()
        await self._remove_not_ready_taint()

    async def _remove_not_ready_taint(self) -> None:
        # The node lifecycle controller does the same where there is one.
        taints = self.node["spec"].get("taints") or []
        kept = [taint for taint in taints if taint["key"] != NOT_READY_TAINT]
        if kept != taints:
            version = self.node["metadata"]["resourceVersion"]
            body = {"metadata": {"resourceVersion": version}, "spec": {"taints": kept or None}}
            self.node = await self._client.patch(NODES, self._settings.name, body)

    async def _renew(self) -> None:
        now = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self._settings.name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        try:
            await self._client.patch(LEASES, self._settings.name, {"spec": spec}, LEASE_NAMESPACE)
        except NotFoundError:
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._settings.name, "uid": uid_of(self.node)}
            metadata = {"name": self._settings.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            await self._client.create(LEASES, {"metadata": metadata, "spec": spec})
