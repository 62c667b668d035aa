"""Asks a training pod how far it is: by HTTP, or by its log."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from trainyard_api.names import TRAINER_PORT
from trainyard_operator.cluster.errors import ApiError
from trainyard_operator.cluster.port import Cluster
from trainyard_operator.runtime.pod_client import PodError, PodHttp
from trainyard_operator.runtime.poller import Poller, Reading
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.training.log_progress import last
from trainyard_operator.training.pod import CONTAINER
from trainyard_operator.training.progress import Snapshot, parse

LINES = 500
"""How far back a line is looked for: Keras prints up to 20 lines a second where there is no terminal."""
_MOST_LOG_BYTES = 256 * 1024
_LOG_TIMEOUT = 5.0
_MOST_BYTES = 64 * 1024
_TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Trainer:
    """A training pod that can be asked.

    Attributes:
        address: Its IP address.
        prints: Whether it may print its progress instead of serving it, as programs of users' own do.
    """

    namespace: str
    pod: str
    address: str
    prints: bool


class ProgressSource(Protocol):
    """Knows how far trainers are."""

    async def latest(self, key: Key, trainer: Trainer) -> Reading[Snapshot] | None:
        """Return what the trainer said last, at once; None where it has not said anything that we understand."""
        ...


@dataclass(frozen=True, slots=True)
class HttpProgressReader:
    """Asks by HTTP."""

    http: PodHttp
    port: int = TRAINER_PORT

    async def read(self, address: str) -> Snapshot | None:
        """Return what the pod at this IP address answers, or None where it does not, or not in a way we understand."""
        try:
            answer = await self.http.ask(address, self.port, "/progress", most_bytes=_MOST_BYTES, deadline=_TIMEOUT)
        except PodError:
            return None
        return parse(answer.content) if answer.status == 200 else None


async def read_log(cluster: Cluster, trainer: Trainer) -> Snapshot | None:
    """Return what the last such line in the pod's log says, or None where there is none, or no log to be had.

    Never raises: progress is not worth failing for, and the next look is seconds away.
    """
    try:
        async with asyncio.timeout(_LOG_TIMEOUT):
            log = await cluster.log(
                trainer.namespace, trainer.pod, container=CONTAINER, lines=LINES, most_bytes=_MOST_LOG_BYTES
            )
    except (ApiError, TimeoutError):
        return None
    return last(log)


@dataclass(frozen=True, slots=True)
class PolledProgress:
    """Implements `ProgressSource`: trainers are asked in the background."""

    poller: Poller[Trainer, Snapshot]

    async def latest(self, key: Key, trainer: Trainer) -> Reading[Snapshot] | None:
        return self.poller.latest(key, trainer)


@dataclass(frozen=True, slots=True)
class TrainerReader:
    """Asks a trainer: by HTTP, and where that gives nothing and its program may print its progress, by its log."""

    http: HttpProgressReader
    cluster: Cluster

    async def ask(self, trainer: Trainer) -> Snapshot | None:
        """Return how far the training is, or None where there is no answer."""
        answer = await self.http.read(trainer.address)
        return await read_log(self.cluster, trainer) if answer is None and trainer.prints else answer
