"""The watches of our own resources: kopf delivers events, each of which does no more than put a key into the queue.

Only low-level `@kopf.on.event` handlers are used, for which kopf writes nothing on anybody's objects: no finalizer, no
annotation. Each namespace has a kopf of its own, so that one that is deleted, forbidden or misspelt stops no other.
Children are watched by `cluster.reflector`, since they are decided on and kopf can miss that one of them is gone.
"""

import asyncio
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import kopf

from trainyard_operator.cluster.connect import load_configuration
from trainyard_operator.cluster.errors import ApiError, NotFound, Unavailable
from trainyard_operator.cluster.kinds import MODEL_SERVICE, TRAINING_JOB, Kind
from trainyard_operator.runtime.resync import Resync, Stores
from trainyard_operator.runtime.router import Router

logger = logging.getLogger(__name__)

PARENTS = (TRAINING_JOB, MODEL_SERVICE)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_BACKOFFS = (0.5, 1, 2, 4, 8, 15)
"""Seconds between the tries of one request of kopf, before it gives up and its namespace starts over."""


@dataclass(slots=True)
class Watches:
    """Watches our own resources in each namespace, and starts over where a watch ends.

    Attributes:
        namespaces: The namespaces to watch; None stands for all of them.
        stopped: Set when a signal asks the process to end.
        problems: Why a namespace is not watched right now.
    """

    stores: Stores
    router: Router
    resync: Resync
    namespaces: Sequence[str | None]
    request_timeout: float
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    problems: dict[str | None, str] = field(default_factory=dict)
    _pauses: dict[str | None, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.problems = dict.fromkeys(self.namespaces, "its watch has not started yet")

    async def run(self) -> None:
        """Watch until a signal arrives.

        Raises:
            ApiError: the API server answers, and the resources cannot be listed all the same: missing CRDs, wrong
                credentials, or permissions that are missing in all namespaces.
        """
        _on_signals(self.stopped)
        stopping = asyncio.create_task(self.stopped.wait(), name="signals")
        tasks = [asyncio.create_task(self._keep(namespace)) for namespace in self.namespaces]
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)

    def is_watched(self, namespace: str | None) -> bool:
        """Return whether what is known of a namespace is what is there, or was a moment ago."""
        return namespace not in self.problems

    def check(self) -> str | None:
        """Return what is wrong: no namespace is watched."""
        return "; ".join(self.notes()) if len(self.problems) == len(self.namespaces) else None

    def notes(self) -> list[str]:
        """Return which namespaces are not watched, and why; nobody else has to wait for them."""
        return [f"{_where(namespace)}: {problem}" for namespace, problem in self.problems.items()]

    async def _keep(self, namespace: str | None) -> None:
        while True:
            try:
                await self.resync.look(namespace)
                self._found(namespace)
                await self._watch(namespace)
            except ApiError as error:
                if _is_fatal(error, namespace):
                    raise
                self._lost(namespace, str(error))
            # Of what can end a watch of kopf, nothing is to end the operator.
            except Exception as error:
                self._lost(namespace, f"{type(error).__name__}: {error}")
            pause = self._pauses[namespace] = min(_LONGEST_PAUSE, 2 * self._pauses.get(namespace, _FIRST_PAUSE / 2))
            await self.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311

    def _found(self, namespace: str | None) -> None:
        if namespace in self._pauses:
            logger.info("Our resources in %s are watched again", _where(namespace))
        self._pauses.pop(namespace, None)
        self.problems.pop(namespace, None)

    def _lost(self, namespace: str | None, problem: str) -> None:
        if namespace not in self._pauses:
            logger.warning("Our resources in %s are not watched, which is tried again: %s", _where(namespace), problem)
        self.problems[namespace] = problem

    async def _watch(self, namespace: str | None) -> None:
        """Watch until a watch breaks for good.

        `kopf.operator` would cancel every task of the process at its end, so its parts are run here.
        """
        place = {"clusterwide": True} if namespace is None else {"namespaces": [namespace]}
        tasks = await kopf.spawn_tasks(
            registry=self._registry(namespace), settings=_settings(self.request_timeout), standalone=True, **place
        )
        # kopf has just taken the signals for itself.
        _on_signals(self.stopped)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        raise Unavailable("kopf ended without a reason")

    def _registry(self, namespace: str | None) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        async def on_login(**_: Any) -> kopf.ConnectionInfo:
            return await _login()

        for kind in PARENTS:
            kopf.on.event(
                group=kind.group, version=kind.version, plural=kind.plural, id=kind.plural, registry=registry
            )(self._handler(kind, namespace))
        kopf.on.login(registry=registry)(on_login)
        return registry

    def _handler(self, kind: Kind, namespace: str | None) -> Callable[..., Awaitable[None]]:
        store = self.stores[kind, namespace]

        async def on_event(event: kopf.RawEvent, **_: Any) -> None:
            if event["type"] is None:
                # From a list; what is missing in it, only our own list tells.
                self.resync.soon()
            manifest: Any = event["object"]
            gone = event["type"] == "DELETED"
            change = store.saw(manifest, gone=gone)
            # An own status write is in the store already, and still news to whoever follows the model it tells of.
            latest = None if gone else store.get(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
            if latest or change:
                self.router.parent(latest or manifest, gone=gone)

        return on_event


def _is_fatal(error: ApiError, namespace: str | None) -> bool:
    """Return whether nobody can wait for it: the CRDs are missing, or all namespaces are to be watched and may not."""
    return not isinstance(error, Unavailable) and (isinstance(error, NotFound) or namespace is None)


def _where(namespace: str | None) -> str:
    return f"namespace {namespace!r}" if namespace else "all namespaces"


def _on_signals(stopped: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)


async def _login() -> kopf.ConnectionInfo:
    """Log kopf in as our own client is; kopf asks again when its token is no longer taken."""
    configuration = await load_configuration()
    header = await configuration.get_api_key_with_prefix("BearerToken")
    scheme, _, token = header.partition(" ") if header else ("", "", "")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme.capitalize() or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )


def _settings(request_timeout: float) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Events are recorded by our workers, after the status they tell about was written.
    settings.posting.enabled = False
    settings.peering.standalone = True
    # No permission on CRDs and namespaces is needed then; the CRDs must exist first, which the resync checks.
    settings.scanning.disabled = True
    settings.watching.chunk_size = 500
    settings.watching.connect_timeout = 10.0
    settings.networking.connect_timeout = 10.0
    settings.networking.request_timeout = request_timeout
    settings.networking.error_backoffs = _BACKOFFS
    # It would end the process, whoever else is at work in it.
    settings.process.ultimate_exiting_timeout = None
    settings.queueing.exit_timeout = 0.2
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.diffbase_storage = _NoDiffBase()
    return settings


class _NoProgress(kopf.ProgressStorage):
    """Stores nothing: the handlers have no state."""

    def fetch(self, **_: Any) -> None:
        """Find nothing."""

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Remove nothing."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Have nothing to clear."""
        return essence


class _NoDiffBase(kopf.DiffBaseStorage):
    """Compares nothing: by default kopf copies and compares every object on every event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return an empty essence."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        """Find nothing."""

    def store(self, **_: Any) -> None:
        """Store nothing."""
