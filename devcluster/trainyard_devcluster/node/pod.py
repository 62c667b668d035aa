"""One pod on this node, from the moment it is bound until its object is gone."""

import asyncio
import logging
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from trainyard_devcluster.client import ApiError
from trainyard_devcluster.events import parse_timestamp, utc_now
from trainyard_devcluster.node import lifetimes, resume
from trainyard_devcluster.node.addresses import AddressesExhaustedError
from trainyard_devcluster.node.backoff import Backoff
from trainyard_devcluster.node.container import Container
from trainyard_devcluster.node.context import NodeContext
from trainyard_devcluster.node.devices import DevicesExhaustedError
from trainyard_devcluster.node.fields import PodFacts
from trainyard_devcluster.node.launch import ContainerFolder, Launch
from trainyard_devcluster.node.logs import LogFile
from trainyard_devcluster.node.pod_files import PodFiles
from trainyard_devcluster.node.pod_launch import PodLauncher
from trainyard_devcluster.node.reporter import StatusReporter
from trainyard_devcluster.node.status import PodView, Verdict, pod_status
from trainyard_devcluster.node.usage import RunningContainer
from trainyard_devcluster.node.volumes import MountError
from trainyard_devcluster.resources import Object, name_of, namespace_of, uid_of
from trainyard_devcluster.strays import CONTAINER_MARK, kill_marked

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 5.0


class Pod:
    """Runs one pod. `run` is its whole life; `update` and `vanish` tell it what the API server says meanwhile."""

    def __init__(self, node: NodeContext, pod: Object) -> None:
        self._node = node
        self._pod = pod
        self._files = PodFiles(node, pod)
        self._reporter = StatusReporter(node.client, pod, self._status)
        self._going = asyncio.Event()
        self._vanished = asyncio.Event()
        self._started: datetime | None = None
        self._prepared = False
        self._stopped = False
        self._verdict: Verdict | None = None
        self.ip = ""
        self._borrowed = ""
        spec = pod["spec"]
        self._init = [self._container(each, init=True) for each in spec.get("initContainers") or ()]
        self._main = [self._container(each) for each in spec["containers"]]
        if pod["metadata"].get("deletionTimestamp"):
            self._going.set()

    # What the API server says.

    def update(self, pod: Object) -> None:
        """The pod has changed: most of all, it may have to go, or with less grace than before."""
        before, self._pod = self._grace(), pod
        self._files.update(pod)
        self._reporter.observe(pod)
        if pod["spec"].get("readinessGates"):
            self._reporter.changed()
        if pod["metadata"].get("deletionTimestamp"):
            if self._going.is_set() and self._grace() < before:
                asyncio.get_running_loop().call_later(self._grace(), self.kill)
            self._going.set()

    def vanish(self) -> None:
        """The pod's object is gone, whatever its processes do."""
        self._vanished.set()
        if self._going.is_set():
            asyncio.get_running_loop().call_later(self._grace(), self.kill)
        self._going.set()

    # Its life.

    async def run(self) -> None:
        """Run the pod until it is gone and nothing of it is left."""
        reporting = asyncio.create_task(self._reporter.run())
        try:
            self._take_over()
            if (self._pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                await self._live()
            await self._going.wait()
            if not self._vanished.is_set():
                await self._reporter.delete()
            await self._vanished.wait()
        finally:
            reporting.cancel()
            self._release()
        await asyncio.to_thread(shutil.rmtree, self._node.pod_folder(uid_of(self._pod)), ignore_errors=True)

    def kill(self) -> None:
        """End every process at once."""
        for container in self.containers:
            container.kill()

    async def abandon(self) -> None:
        """End every process without a word to the API server: the node agent itself is going."""
        self.kill()
        await asyncio.gather(*(container.ended() for container in self.containers))

    def log_file(self, container_name: str, *, previous: bool) -> LogFile:
        """Where a container's log is. KeyError where there is no such container, ValueError where it has no log."""
        words = f'container "{container_name}" in pod "{name_of(self._pod)}"'
        for container in self.containers:
            if container.name == container_name:
                return container.log_file(words, previous=previous)
        raise KeyError(f"{words} not found")

    @property
    def containers(self) -> list[Container]:
        """All of them, init containers first."""
        return [*self._init, *self._main]

    def _take_over(self) -> None:
        by_name = {container.name: container for container in self.containers}
        for name, status in resume.statuses(self._pod):
            if name in by_name and (end := resume.ended(status, utc_now())):
                by_name[name].resume(status.get("restartCount", 0), end)

    async def _live(self) -> None:
        self._started = _started(self._pod)
        working, going = asyncio.create_task(self._work()), asyncio.create_task(self._going.wait())
        if self._going.is_set():
            working.cancel()  # it was to go before it ever ran here
        try:
            left = lifetimes.time_left(self._pod, self._started, utc_now())
            await asyncio.wait({working, going}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            late = not working.done() and not self._going.is_set()
            going.cancel()
            working.cancel()
        await asyncio.wait({working})
        if late:
            message = "Pod was active on the node longer than the specified deadline"
            self._verdict = Verdict("DeadlineExceeded", message)
            self.normal("DeadlineExceeded", message)
        await self._terminate()
        await asyncio.to_thread(self._kill_strays)
        self._stopped = self._going.is_set()
        await self._last_report()
        self._release()

    async def _last_report(self) -> None:
        """Have the final status written before anything else is said; in vain where the pod's object is gone."""
        flush = asyncio.create_task(self._reporter.flush())
        vanished = asyncio.create_task(self._vanished.wait())
        await asyncio.wait({flush, vanished}, return_when=asyncio.FIRST_COMPLETED)
        flush.cancel()
        vanished.cancel()

    async def _work(self) -> None:
        """Run all containers to their end; what they need beside them ends then too."""
        try:
            async with asyncio.TaskGroup() as beside:
                await self._prepare()
                helpers: list[asyncio.Task[Any]] = [beside.create_task(self._files.follow(self._facts()))]
                if await self._initialize(beside, helpers):
                    await self._run_main()
                for task in helpers:
                    task.cancel()
        except* DevicesExhaustedError as errors:
            self._verdict = Verdict("UnexpectedAdmissionError", f"Allocate failed due to {_first(errors)}")
        except* Exception as errors:
            log.exception("pod %s/%s", namespace_of(self._pod), name_of(self._pod))
            self._verdict = Verdict("NodeAgentError", f"the node agent failed: {_first(errors)!r}")

    async def _run_main(self) -> None:
        policy = self._pod["spec"].get("restartPolicy", "Always")
        async with asyncio.TaskGroup() as group:
            for container in self._main:
                group.create_task(container.run(policy))

    async def _prepare(self) -> None:
        """Give the pod its address and volumes, however often that takes."""
        self._reporter.changed()
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                if not self.ip:
                    self.ip = self._address()
                await self._files.admit()
                self._node.pod_folder(uid_of(self._pod)).mkdir(parents=True, exist_ok=True)
                await self._files.mount(self._facts())
            except AddressesExhaustedError as error:
                self.warning("FailedCreatePodSandBox", str(error))
            except (MountError, ApiError) as error:
                self.warning("FailedMount", str(error))
            else:
                self._prepared = True
                return
            self._reporter.changed()
            await self.pause(delay)
            delay = min(delay * 2, LAST_RETRY_SECONDS)

    async def _initialize(self, beside: asyncio.TaskGroup, sidecars: list["asyncio.Task[Any]"]) -> bool:
        policy = "Never" if self._pod["spec"].get("restartPolicy") == "Never" else "OnFailure"
        for container in self._init:
            if container.sidecar:
                sidecars.append(beside.create_task(container.run("Always")))
                await container.started.wait()
            elif await container.run(policy):
                return False
        return True

    async def _terminate(self) -> None:
        """End what runs: the containers together, then the sidecars, last started first."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace()
        await asyncio.gather(*(container.terminate(self._grace()) for container in self._main))
        for container in reversed(self._init):
            await container.terminate(max(deadline - loop.time(), lifetimes.LEAST_GRACE))

    # What its containers need (PodOfContainer).

    async def launch(self, container: Object, folder: ContainerFolder, container_id: str) -> Launch:
        """The process to start."""
        await self._files.refresh()
        launcher = PodLauncher(self._node, self._pod, self._files, self._facts())
        init = container["name"] in {each.name for each in self._init}
        return launcher.launch(container, folder, container_id, init=init)

    async def pause(self, seconds: float) -> None:
        """Wait before another try; shorter where something that the pod needs has changed."""
        await self._files.wait(seconds)

    def changed(self) -> None:
        """A container's state is not what it was."""
        self._reporter.changed()

    def normal(self, reason: str, message: str) -> None:
        """Record an event about the pod."""
        self._node.events.normal(self._pod, reason, message)

    def warning(self, reason: str, message: str) -> None:
        """Record an event about the pod that a person may have to act on."""
        self._node.events.warning(self._pod, reason, message)

    def grace(self, container: Object) -> float:
        """How many seconds a container that has to be restarted gets."""
        return lifetimes.restart_grace(self._pod, container)

    def describe(self, container_name: str) -> str:
        """The container and its pod in words, for messages."""
        pod = f"{name_of(self._pod)}_{namespace_of(self._pod)}({uid_of(self._pod)})"
        return f"container={container_name} pod={pod}"

    def running(self) -> Iterator[RunningContainer]:
        """Its containers that run now."""
        for container in self.containers:
            if leader := container.leader:
                of = namespace_of(self._pod), name_of(self._pod), uid_of(self._pod)
                yield RunningContainer(*of, container.name, leader)

    # Small things.

    def _container(self, spec: Object, *, init: bool = False) -> Container:
        folder = ContainerFolder(self._node.pod_folder(uid_of(self._pod)) / "containers" / spec["name"])
        first = timedelta(seconds=self._node.settings.restart_backoff)
        sidecar = init and spec.get("restartPolicy") == "Always"
        waiting = "PodInitializing" if self._pod["spec"].get("initContainers") else "ContainerCreating"
        return Container(spec, folder, self, Backoff(first=first), waiting=waiting, sidecar=sidecar, init=init)

    def _status(self, pod: Object) -> Object:
        view = PodView(
            containers=[each.view for each in self._main],
            init=[each.view for each in self._init],
            host_ip=self._node.settings.address,
            pod_ip=self.ip,
            started=self._started,
            prepared=self._prepared,
            stopped=self._stopped,
            verdict=self._verdict,
        )
        return pod_status(pod, view, utc_now())

    def _facts(self) -> PodFacts:
        return PodFacts(self.ip, self._node.settings.address, self._node.settings.capacity)

    def _address(self) -> str:
        if self._pod["spec"].get("hostNetwork"):
            return self._node.settings.address
        self._borrowed = self._node.addresses.take((self._pod.get("status") or {}).get("podIP"))
        return self._borrowed

    def _grace(self) -> float:
        return lifetimes.pod_grace(self._pod, going=self._going.is_set(), vanished=self._vanished.is_set())

    def _kill_strays(self) -> None:
        for container in self.containers:
            if container_id := container.view.container_id:
                kill_marked(CONTAINER_MARK, container_id)

    def _release(self) -> None:
        self._files.close()
        self._node.gpus.give_back(uid_of(self._pod))
        if self._borrowed:
            self._node.addresses.give_back(self._borrowed)
            self._borrowed = ""


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _started(pod: Object) -> datetime:
    text = (pod.get("status") or {}).get("startTime")
    return parse_timestamp(text) if text else utc_now()
