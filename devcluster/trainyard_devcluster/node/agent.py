"""The node agent: watches the pods of one node and runs them, and makes the cluster's Services reachable."""

import asyncio
import logging
import shutil
from pathlib import Path

from aiohttp import web

from trainyard_devcluster.client import Client
from trainyard_devcluster.events import Recorder
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.node import images, kubelet_api
from trainyard_devcluster.node.addresses import AddressPool
from trainyard_devcluster.node.context import NodeContext
from trainyard_devcluster.node.devices import Gpus
from trainyard_devcluster.node.events import EventSink
from trainyard_devcluster.node.logs import LogFile
from trainyard_devcluster.node.network import Network
from trainyard_devcluster.node.objects import ObjectStore
from trainyard_devcluster.node.pod import Pod
from trainyard_devcluster.node.registration import Registration
from trainyard_devcluster.node.settings import GPU, Settings
from trainyard_devcluster.node.tasks import spawn
from trainyard_devcluster.node.usage import RunningContainer, UsageSource
from trainyard_devcluster.resources import ENDPOINT_SLICES, PODS, SERVICES, Object, name_of, namespace_of, uid_of
from trainyard_devcluster.strays import NODE_MARK, kill_marked

log = logging.getLogger(__name__)


class Agent:
    """One node. `run` until cancelled; then everything it started is ended."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._registration = Registration(client, settings)
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINT_SLICES)
        self._pods_informer = Informer(client, PODS, field_selector=f"spec.nodeName={settings.name}")
        self._events = EventSink(Recorder(client, "kubelet", host=settings.name))
        self._pods: dict[str, Pod] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._usage = UsageSource(settings.name, self._running)

    async def run(self) -> None:
        """Join the cluster and run its pods."""
        pods_folder = self._settings.folder / "pods"
        await asyncio.to_thread(pods_folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        if left := await asyncio.to_thread(kill_marked, NODE_MARK, str(self._settings.folder)):
            log.info("ended %d processes that an earlier node agent left behind", len(left))
        await self._registration.register()
        pool = AddressPool(await self._registration.pod_cidr())
        network = Network(pool, self._services, self._slices, self._settings.folder)
        self._context = self._make_context(pool)
        self._pods_informer.on_change(self._pod_changed)
        runner, port = await self._serve()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._events.run())
                group.create_task(self._services.run())
                group.create_task(self._slices.run())
                group.create_task(network.run())
                await self._services.synced.wait()
                group.create_task(self._pods_informer.run())
                group.create_task(self._remove_leftovers(pods_folder))
                group.create_task(self._registration.run(port))
                group.create_task(self._announce(pool))
                group.create_task(self._usage.run())
        finally:
            await self._abandon_pods()
            await runner.cleanup()
            network.close()

    def log_file(self, namespace: str, pod: str, container: str, *, previous: bool) -> LogFile:
        """Where a container's log is (see `LogSource`)."""
        obj = self._pods_informer.get(namespace, pod)
        found = self._pods.get(uid_of(obj)) if obj else None
        if found is None:
            raise KeyError(f'pod "{namespace}/{pod}" is not on this node')
        return found.log_file(container, previous=previous)

    def summary(self) -> Object:
        """What the node and its containers use (see `UsageSource`)."""
        return self._usage.summary()

    def _running(self) -> list[RunningContainer]:
        return [container for pod in self._pods.values() for container in pod.running()]

    async def _announce(self, pool: AddressPool) -> None:
        await self._registration.ready.wait()
        print(
            f"node {self._settings.name} has joined {self._client.server} and is ready: its pods get addresses of "
            f"{pool.cidr}, and their logs are in {self._settings.folder / 'pods'}",
            flush=True,
        )

    def _make_context(self, pool: AddressPool) -> NodeContext:
        own = images.load(self._settings.images) if self._settings.images else []
        return NodeContext(
            settings=self._settings,
            client=self._client,
            objects=ObjectStore(self._client),
            events=self._events,
            addresses=pool,
            gpus=Gpus(int(self._settings.capacity.get(GPU, "0"))),
            images=[*own, *images.public()],
            services=self._services,
        )

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            assert old is not None
            if pod := self._pods.get(uid_of(old)):
                pod.vanish()
        elif pod := self._pods.get(uid_of(new)):
            pod.update(new)
        else:
            self._adopt(new)

    async def _abandon_pods(self) -> None:
        pods = list(self._pods.values())
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        await asyncio.gather(*(pod.abandon() for pod in pods))
        await asyncio.to_thread(kill_marked, NODE_MARK, str(self._settings.folder))

    def _adopt(self, obj: Object) -> None:
        pod = self._pods[uid_of(obj)] = Pod(self._context, obj)
        life = spawn(pod.run(), f"pod {namespace_of(obj)}/{name_of(obj)}")
        self._lives.add(life)
        life.add_done_callback(lambda task: self._ended(uid_of(obj), task))

    def _ended(self, uid: str, life: "asyncio.Task[None]") -> None:
        self._pods.pop(uid, None)
        self._lives.discard(life)

    async def _serve(self) -> tuple[web.AppRunner, int]:
        authority = await kubelet_api.client_authority(self._client)
        allowed = kubelet_api.Authorizer(self._client)
        runner = web.AppRunner(kubelet_api.application(self, allowed, usage=self.summary), access_log=None)
        await runner.setup()
        tls = kubelet_api.tls_context(self._settings.address, self._settings.name, authority)
        await web.TCPSite(runner, self._settings.address, self._settings.port, ssl_context=tls).start()
        return runner, int(runner.addresses[0][1])

    async def _remove_leftovers(self, folder: Path) -> None:
        """Remove the files of pods that went while no node agent was there."""
        await self._pods_informer.synced.wait()
        known = {uid_of(pod) for pod in self._pods_informer} | set(self._pods)
        await asyncio.to_thread(_remove_others, folder, known)


def _remove_others(folder: Path, known: set[str]) -> None:
    for entry in folder.iterdir():
        if entry.name not in known:
            shutil.rmtree(entry, ignore_errors=True)
