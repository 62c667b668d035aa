"""What probes and lifecycle hooks do: the same four actions for both."""

import asyncio
from functools import partial

from trainyard_devcluster.node import commands, probes
from trainyard_devcluster.node.launch import Launch
from trainyard_devcluster.resources import Object


def look(probe: Object, container: Object, launch: Launch, pod_ip: str) -> probes.Look:
    """The look that a probe takes at a running container. ValueError where it names a port that is not there."""
    if action := probe.get("exec"):
        return partial(_command, action["command"], launch)
    if action := probe.get("httpGet"):
        return partial(probes.http_get, action, pod_ip, probes.port_number(action["port"], container))
    if action := probe.get("tcpSocket"):
        return partial(probes.tcp_connect, action.get("host") or pod_ip, probes.port_number(action["port"], container))
    if action := probe.get("grpc"):
        return partial(probes.grpc_health, action.get("service") or "", pod_ip, int(action["port"]))
    raise ValueError("expected a probe with exec, httpGet, tcpSocket or grpc")


async def hook(handler: Object, container: Object, launch: Launch, pod_ip: str) -> str | None:
    """Carry out a postStart or preStop handler; returns what went wrong, if anything."""
    if sleep := handler.get("sleep"):
        await asyncio.sleep(sleep["seconds"])
        return None
    try:
        return await look(handler, container, launch, pod_ip)()
    except ValueError as error:
        return str(error)


async def _command(command: list[str], launch: Launch) -> str | None:
    code, output = await commands.run(launch.command(command), env=launch.env, cwd=launch.cwd)
    return None if code == 0 else output or f"command exited with code {code}"
