"""One container of a pod: its process, run after run, with probes, hooks and backoff."""

import asyncio
import secrets
import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from trainyard_devcluster.events import utc_now
from trainyard_devcluster.node import actions, images, prober, process
from trainyard_devcluster.node.backoff import Backoff
from trainyard_devcluster.node.container_pod import PodOfContainer
from trainyard_devcluster.node.env import ConfigError
from trainyard_devcluster.node.launch import ContainerFolder, Launch
from trainyard_devcluster.node.logs import ContainerLog, LogFile
from trainyard_devcluster.node.ports import PortForwards
from trainyard_devcluster.node.status import ContainerView, Running, State, Terminated, Waiting
from trainyard_devcluster.node.tasks import spawn
from trainyard_devcluster.node.termination import terminated
from trainyard_devcluster.node.volumes import MountError
from trainyard_devcluster.resources import Object
from trainyard_devcluster.strays import CONTAINER_MARK, kill_marked

DRAIN_SECONDS = 1.0
LEAST_GRACE_AFTER_HOOK = 2.0
START_ERROR = 128


@dataclass(slots=True)
class _Run:
    """A process and what belongs to it alone."""

    process: process.Process
    launch: Launch
    log: ContainerLog
    started: datetime
    forwards: PortForwards
    end: "asyncio.Task[Terminated] | None" = None
    prober: "asyncio.Task[None] | None" = None
    hooked: bool = False


class Container:
    """Runs a container by its restart policy and knows its state."""

    def __init__(
        self,
        spec: Object,
        folder: ContainerFolder,
        pod: PodOfContainer,
        backoff: Backoff,
        *,
        waiting: str = "ContainerCreating",
        init: bool = False,
        sidecar: bool = False,
    ) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.folder = folder
        self._pod = pod
        self._backoff = backoff
        self.sidecar = sidecar
        self._init = init and not sidecar
        self.state: State = Waiting(waiting)
        self.last: Terminated | None = None
        self.restarts = 0
        self.started = asyncio.Event()
        """Set while it runs and its startup probe, if any, has succeeded."""
        self._ready = False
        self._id = ""
        self._run: _Run | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def view(self) -> ContainerView:
        """Its state, for the pod's status."""
        return ContainerView(
            name=self.name,
            image=self.spec["image"],
            state=self.state,
            last=self.last,
            restarts=self.restarts,
            started=self.started.is_set(),
            ready=self._ready or (self._init and isinstance(self.state, Terminated) and self.state.exit_code == 0),
            container_id=self._id,
            sidecar=self.sidecar,
        )

    @property
    def leader(self) -> int | None:
        """The process that leads its session, while it runs."""
        return self._run.process.pid if self._run and self._run.process.running else None

    def log_file(self, words: str, *, previous: bool) -> LogFile:
        """The log of its current run or of the one before; between two runs the last one is both.

        ValueError where there is none, which says so of `words`.
        """
        between = isinstance(self.state, Waiting)
        path = self.folder.log(self.restarts - 1 if previous and not between else self.restarts)
        live = self._run.log if self._run and self._run.log.path == path and not self._run.log.closed else None
        if path.exists():
            return LogFile(path, live)
        if previous:
            raise ValueError(f"previous terminated {words} not found")
        reason = self.state.reason if isinstance(self.state, Waiting) else "no log"
        raise ValueError(f"{words} is waiting to start: {reason}")

    def resume(self, restarts: int, end: Terminated) -> None:
        """Take over what an earlier node agent reported: the container ended like this. Before `run`."""
        self.restarts = restarts
        self.state = end
        self._id = end.container_id

    async def run(self, policy: str) -> int:
        """Run it until its restart policy (Always, OnFailure, Never) lets it rest; returns its last exit code."""
        resumed = self.state if isinstance(self.state, Terminated) else None
        while True:
            end, resumed = resumed or await self._run_once(), None
            if policy == "Never" or (policy == "OnFailure" and end.exit_code == 0):
                return end.exit_code
            await self._back_off(end)
            self.restarts += 1

    async def terminate(self, grace: float, why: str = "") -> None:
        """End its process: preStop, SIGTERM, then SIGKILL when the grace period (seconds) is over."""
        run = self._run
        if run is None or not run.process.running:
            return
        self._pod.normal("Killing", why or f"Stopping container {self.name}")
        _stop_probing(run)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if grace > 0:
            if await self._pre_stop(run, grace):
                deadline = max(deadline, loop.time() + LEAST_GRACE_AFTER_HOOK)
            run.process.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await run.process.wait()
        run.process.kill_group()
        await _ended(run)

    def kill(self) -> None:
        """End its process at once."""
        if self._run:
            self._run.process.kill_group()

    async def ended(self) -> None:
        """Wait until nothing of its last process is left."""
        if self._run:
            await _ended(self._run)

    async def _run_once(self) -> Terminated:
        run = await self._start()
        return run if isinstance(run, Terminated) else await _ended(run)

    async def _start(self) -> "_Run | Terminated":
        container_id = f"devcluster://{secrets.token_hex(32)}"
        self.folder.make()
        launch = await self._resolve(container_id)
        run_log = ContainerLog(self.folder.log(self.restarts))
        self.folder.log(self.restarts - 2).unlink(missing_ok=True)  # `previous` reaches one run back
        self._pod.normal("Pulled", f'Container image "{self.spec["image"]}" already present on machine')
        self._pod.normal("Created", f"Created container: {self.name}")
        launch.cwd.mkdir(parents=True, exist_ok=True)
        self._id, started = container_id, utc_now()
        forwards = PortForwards(self._pod.ip, launch)
        try:
            running = process.start(forwards.argv, env=launch.env, cwd=launch.cwd)
        except OSError as error:
            return self._not_started(error, launch, run_log, started)
        words = self._pod.describe(self.name)
        self._run = run = _Run(running, launch, run_log, started, forwards)
        forwards.open()
        self.state = Running(started)
        self._pod.normal("Started", f"Started container {self.name}")
        run.end = spawn(self._reap(run), f"end of {words}")
        run.prober = spawn(prober.watch(self.spec, launch, self._pod.ip, self), f"probes of {words}")
        self._pod.changed()
        return run

    def _not_started(self, error: OSError, launch: Launch, run_log: ContainerLog, started: datetime) -> Terminated:
        message = f"cannot start {launch.argv[0]!r} in {launch.cwd}: {error.strerror or error}"
        run_log.close()
        self._pod.warning("Failed", f"Error: {message}")
        end = Terminated(START_ERROR, "StartError", message, started, utc_now(), self._id)
        self._set_ended(end)
        return end

    async def _resolve(self, container_id: str) -> Launch:
        pulls = Backoff()
        pulls.next(utc_now())
        while True:
            try:
                return await self._pod.launch(self.spec, self.folder, container_id)
            except images.ImageError as error:
                self._wait("ErrImagePull", str(error))
                self._pod.warning("Failed", f'Failed to pull image "{self.spec["image"]}": {error}')
                self._wait("ImagePullBackOff", f'Back-off pulling image "{self.spec["image"]}": {error}')
                self._pod.normal("BackOff", f'Back-off pulling image "{self.spec["image"]}"')
                await self._pod.pause(pulls.next(utc_now()).total_seconds())
            except (ConfigError, MountError) as error:
                self._wait("CreateContainerConfigError", str(error))
                self._pod.warning("Failed", f"Error: {error}")
                await self._pod.pause(5.0)

    def _wait(self, reason: str, message: str) -> None:
        self.state = Waiting(reason, message)
        self._pod.changed()

    async def _reap(self, run: _Run) -> Terminated:
        await run.process.connect(run.log.stream("stdout"), run.log.stream("stderr"))
        code = await run.process.wait()
        await asyncio.to_thread(kill_marked, CONTAINER_MARK, run.launch.env[CONTAINER_MARK])
        if probes := _stop_probing(run):
            await asyncio.wait({probes})  # a probe's own process ends with the container
        await run.forwards.close()
        await run.log.drain(DRAIN_SECONDS)
        run.process.disconnect()
        end = terminated(
            self.spec,
            code,
            message_file=self.folder.termination_message,
            log=run.log.path,
            container_id=self._id,
            started=run.started,
            now=utc_now(),
        )
        self._set_ended(end)
        return end

    def _set_ended(self, end: Terminated) -> None:
        self.state = end
        self.started.clear()
        self._ready = False
        self._pod.changed()

    async def _back_off(self, end: Terminated) -> None:
        self.last = end
        delay = self._backoff.next(end.finished)
        if not delay:
            return
        words = self._pod.describe(self.name)
        self._wait("CrashLoopBackOff", f"back-off {_duration(delay.total_seconds())} restarting failed {words}")
        self._pod.warning("BackOff", f"Back-off restarting failed {words}")
        await asyncio.sleep((end.finished + delay - utc_now()).total_seconds())

    def has_started(self) -> None:
        """Its startup probe, if any, succeeded."""
        self.started.set()
        self._pod.changed()

    def is_ready(self, ready: bool) -> None:
        """Its readiness probe says so."""
        if ready != self._ready:
            self._ready = ready
            self._pod.changed()

    def restart(self, why: str) -> None:
        """End the process so that the restart policy can act. In a task of its own: the prober calls, and is ended."""
        grace = self._pod.grace(self.spec)
        self._ending = spawn(self.terminate(grace, why), why)

    def unhealthy(self, reason: str, why: str) -> None:
        """A probe or hook went wrong once."""
        self._pod.warning(reason, why)

    async def _pre_stop(self, run: _Run, grace: float) -> bool:
        handler = (self.spec.get("lifecycle") or {}).get("preStop")
        if not handler or run.hooked:
            return False
        run.hooked = True
        hook = asyncio.create_task(actions.hook(handler, self.spec, run.launch, self._pod.ip))
        exited = asyncio.create_task(run.process.wait())
        await asyncio.wait({hook, exited}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        wrong = hook.result() if hook.done() else "it did not end in time"
        hook.cancel()
        exited.cancel()
        if wrong is not None:
            self._pod.warning("FailedPreStopHook", f"PreStopHook failed: {wrong}")
        return True


def _stop_probing(run: _Run) -> "asyncio.Task[None] | None":
    # Once only: a second cancellation would interrupt the first one's tidying.
    if run.prober and not run.prober.cancelling():
        run.prober.cancel()
    return run.prober


async def _ended(run: _Run) -> Terminated:
    assert run.end is not None
    return await asyncio.shield(run.end)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return (f"{minutes}m" if minutes else "") + f"{rest}s"
