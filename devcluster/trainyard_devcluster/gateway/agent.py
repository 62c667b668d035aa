"""The part: follows Gateways, routes, Services and their pods, and has Envoy do what they say."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

import aiohttp

from trainyard_devcluster.client import AlreadyExistsError, ApiError, Client, UnavailableError
from trainyard_devcluster.events import timestamp, utc_now
from trainyard_devcluster.gateway import envoy
from trainyard_devcluster.gateway.kinds import DEFINITIONS, GATEWAYS, GRPC_ROUTES, HTTP_ROUTES, KINDS, definition
from trainyard_devcluster.gateway.routing import Backend, attaches, endpoints, listenings
from trainyard_devcluster.informer import Informer, Key
from trainyard_devcluster.resources import ENDPOINT_SLICES, SERVICES, Object, Resource, name_of, namespace_of

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
FOLLOW_SECONDS = 0.3
"""Envoy has read a file that was replaced so long ago."""
DRAIN_SECONDS = 3
"""Until then Envoy ends connections one after the other, each after a request."""
_ADMIN_TIMEOUT = aiohttp.ClientTimeout(total=2)
SETTLE_SECONDS = 0.02
"""Several changes at once are one: a rollout changes a route and its pods together."""
SERVICE_LABEL = "kubernetes.io/service-name"


class GatewayAgent:
    """One Envoy for all Gateways of a class.

    Args:
        class_name: takes the Gateways that name this class.
        network: where Gateways get their addresses from, one each.
    """

    def __init__(self, client: Client, folder: Path, *, class_name: str, network: IPv4Network, program: str) -> None:
        self._client = client
        self._folder = folder
        self._class = class_name
        self._free = (str(address) for address in network.hosts())
        self._addresses: dict[Key, str] = {}
        self._program = program
        self._changed = asyncio.Event()
        self._written: envoy.Resources = {}
        followed = (*KINDS, SERVICES, ENDPOINT_SLICES)
        self._informers = {kind: Informer(client, kind) for kind in followed}
        self._informers[ENDPOINT_SLICES].add_index("service", _service_of)
        for informer in self._informers.values():
            informer.on_change(lambda old, new: self._changed.set())

    async def run(self) -> None:
        """Serve until cancelled. RuntimeError where Envoy ends."""
        await self._define()
        self._folder.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as group:
            for informer in self._informers.values():
                group.create_task(informer.run())
            await asyncio.gather(*(informer.synced.wait() for informer in self._informers.values()))
            await self._write()
            group.create_task(self._serve())
            group.create_task(self._follow())

    async def _define(self) -> None:
        for kind in KINDS:
            while True:
                try:
                    await self._client.create(DEFINITIONS, definition(kind))
                except AlreadyExistsError:
                    break
                except UnavailableError as error:
                    log.debug("%s; trying again", error)
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    break

    async def _serve(self) -> None:
        config = self._folder / "envoy.json"
        config.write_text(json.dumps(envoy.bootstrap(self._folder)))
        process = await asyncio.create_subprocess_exec(
            self._program,
            *("--config-path", str(config), "--log-level", "warning", "--use-dynamic-base-id", "--concurrency", "1"),
            *("--drain-time-s", str(DRAIN_SECONDS)),
            preexec_fn=envoy.end_with_parent,
        )
        try:
            code = await process.wait()
            raise RuntimeError(f"envoy ended with exit code {code}")
        finally:
            await self._drain()
            with suppress(ProcessLookupError):
                process.kill()

    async def _drain(self) -> None:
        """Let clients go to another Gateway of the same address, where there is one, before this one ends."""
        async with aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(envoy.admin_socket(self._folder)))
        ) as admin:
            try:
                async with admin.post("http://envoy/drain_listeners?graceful", timeout=_ADMIN_TIMEOUT):
                    await asyncio.sleep(DRAIN_SECONDS)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("envoy cannot be drained: %s", error)
            envoy.admin_socket(self._folder).unlink(missing_ok=True)

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            await self._write()
            try:
                await self._report()
            except ApiError as error:
                log.debug("%s; trying again", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._changed.set()

    async def _write(self) -> None:
        listening = [each for gateway in self._gateways() for each in listenings(gateway, self._routes())]
        backends = {
            backend
            for each in listening
            for rules in each.hosts.values()
            for rule in rules
            for backend, _ in rule.backends
        }
        found = {backend: self._endpoints(backend) for backend in backends}
        resources = envoy.files(self._folder, self._addresses, listening, found)
        for number, stage in enumerate(envoy.stages(self._written, resources)):
            if number:
                await asyncio.sleep(FOLLOW_SECONDS)
            envoy.write(self._folder, stage)
        self._written = resources

    def _gateways(self) -> Iterator[Object]:
        mine = (each for each in self._informers[GATEWAYS] if each["spec"].get("gatewayClassName") == self._class)
        for gateway in sorted(mine, key=lambda each: (namespace_of(each), name_of(each))):
            key = (namespace_of(gateway), name_of(gateway))
            if key not in self._addresses:
                self._addresses[key] = next(self._free)
            yield gateway

    def _routes(self) -> list[Object]:
        return [*self._informers[HTTP_ROUTES], *self._informers[GRPC_ROUTES]]

    def _endpoints(self, backend: Backend) -> list[tuple[str, int]]:
        service = self._informers[SERVICES].get(backend.namespace, backend.service)
        slices = self._informers[ENDPOINT_SLICES].by_index("service", f"{backend.namespace}/{backend.service}")
        return endpoints(backend, service, slices)

    async def _report(self) -> None:
        """Say of Gateways where they listen, and of routes who takes them."""
        gateways = list(self._gateways())
        for gateway in gateways:
            address = self._addresses[namespace_of(gateway), name_of(gateway)]
            status = {"addresses": [{"type": "IPAddress", "value": address}]}
            await self._say(GATEWAYS, gateway, status | {"conditions": [_condition("Programmed", gateway)]})
        for kind in (HTTP_ROUTES, GRPC_ROUTES):
            for route in self._informers[kind]:
                taken = [parent for parent in route["spec"].get("parentRefs") or () if _taken(route, parent, gateways)]
                parents = [
                    {"parentRef": parent, "controllerName": self._class, "conditions": [_condition("Accepted", route)]}
                    for parent in taken
                ]
                await self._say(kind, route, {"parents": parents})

    async def _say(self, kind: Resource, obj: Object, status: Object) -> None:
        old = obj.get("status") or {}
        if _timeless(old) != _timeless(status):
            self._informers[kind].observe(await self._client.update_status(kind, obj | {"status": status}))


def _taken(route: Object, parent: Object, gateways: list[Object]) -> bool:
    alone = route | {"spec": route["spec"] | {"parentRefs": [parent]}}
    return any(
        attaches(alone, gateway, listener)
        for gateway in gateways
        for listener in gateway["spec"].get("listeners") or ()
    )


def _service_of(part: Object) -> list[str]:
    service = (part["metadata"].get("labels") or {}).get(SERVICE_LABEL)
    return [f"{namespace_of(part)}/{service}"] if service else []


def _condition(kind: str, obj: Object) -> Object:
    return {
        "type": kind,
        "status": "True",
        "reason": kind,
        "message": "",
        "observedGeneration": obj["metadata"].get("generation", 0),
        "lastTransitionTime": timestamp(utc_now()),
    }


def _timeless(status: Object) -> str:
    """A status without its times, to compare."""

    def without(value: object) -> object:
        if isinstance(value, dict):
            return {key: without(each) for key, each in value.items() if key != "lastTransitionTime"}
        return [without(each) for each in value] if isinstance(value, list) else value

    return json.dumps(without(status), sort_keys=True)
