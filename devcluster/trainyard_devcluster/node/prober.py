"""What happens beside a container's process: postStart, then the startup probe, then readiness and liveness."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from trainyard_devcluster.node import actions
from trainyard_devcluster.node.launch import Launch
from trainyard_devcluster.node.probes import Timing, verdicts
from trainyard_devcluster.resources import Object


class Listener(Protocol):
    """Who acts on what the probes find."""

    def has_started(self) -> None:
        """The container is up: its startup probe, if any, succeeded."""

    def is_ready(self, ready: bool) -> None:
        """The container can take requests, or cannot."""

    def restart(self, why: str) -> None:
        """The container has to be ended; its restart policy decides what comes then."""

    def unhealthy(self, reason: str, why: str) -> None:
        """A probe or hook went wrong once."""


async def watch(container: Object, launch: Launch, pod_ip: str, listener: Listener) -> None:
    """Follow one run of a container until cancelled or until it has to be ended."""
    try:
        if await _post_start(container, launch, pod_ip, listener) and await _starts(
            container, launch, pod_ip, listener
        ):
            listener.has_started()
            if "readinessProbe" not in container:
                listener.is_ready(True)
            async with asyncio.TaskGroup() as group:
                group.create_task(_readiness(container, launch, pod_ip, listener))
                group.create_task(_liveness(container, launch, pod_ip, listener))
    except* ValueError as errors:
        listener.unhealthy("Unhealthy", "; ".join(map(str, errors.exceptions)))


async def _post_start(container: Object, launch: Launch, pod_ip: str, listener: Listener) -> bool:
    handler = (container.get("lifecycle") or {}).get("postStart")
    wrong = await actions.hook(handler, container, launch, pod_ip) if handler else None
    if wrong is not None:
        listener.unhealthy("FailedPostStartHook", f"PostStartHook failed: {wrong}")
        listener.restart("FailedPostStartHook")
    return wrong is None


async def _starts(container: Object, launch: Launch, pod_ip: str, listener: Listener) -> bool:
    async for well in _verdicts("startup", container, launch, pod_ip, listener):
        if not well:
            listener.restart(f"Container {container['name']} failed startup probe, will be restarted")
        return well
    return True


async def _readiness(container: Object, launch: Launch, pod_ip: str, listener: Listener) -> None:
    async for well in _verdicts("readiness", container, launch, pod_ip, listener):
        listener.is_ready(well)


async def _liveness(container: Object, launch: Launch, pod_ip: str, listener: Listener) -> None:
    async for well in _verdicts("liveness", container, launch, pod_ip, listener):
        if not well:
            listener.restart(f"Container {container['name']} failed liveness probe, will be restarted")
            return


async def _verdicts(
    kind: str, container: Object, launch: Launch, pod_ip: str, listener: Listener
) -> AsyncIterator[bool]:
    if probe := container.get(f"{kind}Probe"):
        look = actions.look(probe, container, launch, pod_ip)

        def failed(wrong: str) -> None:
            listener.unhealthy("Unhealthy", f"{kind.capitalize()} probe failed: {wrong}")

        async for verdict in verdicts(Timing.of(probe), look, failed):
            yield verdict
