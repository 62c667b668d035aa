"""What Gateways and routes mean: which host and path on which port goes to which pods. Pure functions of objects."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from trainyard_devcluster.gateway.kinds import GATEWAYS
from trainyard_devcluster.resources import Object, name_of, namespace_of

_PROTOCOLS = {"HTTPRoute": ("HTTP",), "GRPCRoute": ("HTTP",)}


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """A port of a Service."""

    namespace: str
    service: str
    port: int
    http2: bool = False

    @property
    def name(self) -> str:
        """Its name in Envoy's configuration."""
        return f"{self.namespace}/{self.service}/{self.port}{'/h2' if self.http2 else ''}"


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a rule takes: of these paths, exactly or with all below."""

    kind: Literal["exact", "below", "prefix"]
    path: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Where some requests go, with weights."""

    matches: tuple[Match, ...]
    backends: tuple[tuple[Backend, int], ...]


@dataclass(frozen=True, slots=True)
class Listening:
    """One port of a Gateway, and what goes where by host."""

    gateway: tuple[str, str]
    port: int
    hosts: Mapping[str, tuple[Rule, ...]]


def listenings(gateway: Object, routes: Iterable[Object]) -> list[Listening]:
    """What a Gateway does on each of its ports."""
    ports: dict[int, dict[str, list[Rule]]] = {}
    found = sorted(routes, key=lambda route: (route["metadata"].get("creationTimestamp", ""), name_of(route)))
    for listener in gateway["spec"].get("listeners") or ():
        hosts = ports.setdefault(int(listener["port"]), {})
        for route in found:
            if attaches(route, gateway, listener):
                for host in shared_hosts(route, listener):
                    hosts.setdefault(host, []).extend(rules(route))
    key = (namespace_of(gateway), name_of(gateway))
    return [
        Listening(key, port, {host: tuple(of_host) for host, of_host in hosts.items()}) for port, hosts in ports.items()
    ]


def attaches(route: Object, gateway: Object, listener: Object) -> bool:
    """Whether a route belongs to a listener of a Gateway, as both see it."""
    if listener.get("protocol") not in _PROTOCOLS.get(route["kind"], ()):
        return False
    place = ((listener.get("allowedRoutes") or {}).get("namespaces") or {}).get("from", "Same")
    if place == "Same" and namespace_of(route) != namespace_of(gateway):
        return False
    return any(
        _names(parent, route, gateway) and parent.get("sectionName") in (None, listener["name"])
        for parent in route["spec"].get("parentRefs") or ()
    )


def _names(parent: Object, route: Object, gateway: Object) -> bool:
    return (
        parent.get("kind", GATEWAYS.kind) == GATEWAYS.kind
        and parent["name"] == name_of(gateway)
        and (parent.get("namespace") or namespace_of(route)) == namespace_of(gateway)
    )


def shared_hosts(route: Object, listener: Object) -> list[str]:
    """The hosts that a route and a listener have in common; the narrower name where one is a wildcard."""
    own, wide = route["spec"].get("hostnames") or ["*"], listener.get("hostname") or "*"
    return [_narrower(host, wide) for host in own if _covers(wide, host) or _covers(host, wide)]


def _covers(wide: str, host: str) -> bool:
    return wide in ("*", host) or (wide.startswith("*.") and host.endswith(wide[1:]))


def _narrower(one: str, other: str) -> str:
    return one if _covers(other, one) else other


def rules(route: Object) -> Iterator[Rule]:
    """The rules of a route."""
    grpc = route["kind"] == "GRPCRoute"
    for rule in route["spec"].get("rules") or ():
        matches = tuple(_grpc_match(each) if grpc else _http_match(each) for each in rule.get("matches") or [{}])
        yield Rule(matches, tuple(_backends(route, rule.get("backendRefs") or (), http2=grpc)))


def _http_match(match: Object) -> Match:
    path = match.get("path") or {}
    value = path.get("value", "/")
    if path.get("type", "PathPrefix") == "Exact":
        return Match("exact", value)
    return Match("prefix", "/") if value == "/" else Match("below", value.rstrip("/"))


def _grpc_match(match: Object) -> Match:
    method = match.get("method") or {}
    if not method.get("service"):
        return Match("prefix", "/")
    path = f"/{method['service']}/"
    return Match("exact", path + method["method"]) if method.get("method") else Match("prefix", path)


def _backends(route: Object, references: Sequence[Object], *, http2: bool) -> Iterator[tuple[Backend, int]]:
    for reference in references:
        namespace = reference.get("namespace") or namespace_of(route)
        yield Backend(namespace, reference["name"], int(reference["port"]), http2), int(reference.get("weight", 1))


def endpoints(backend: Backend, service: Object | None, slices: Iterable[Object]) -> list[tuple[str, int]]:
    """The addresses of the pods behind a Service's port that are ready."""
    if service is None:
        return []
    ports = service["spec"].get("ports") or ()
    named = next((port.get("name", "") for port in ports if port["port"] == backend.port), None)
    return sorted(
        (address, int(port["port"]))
        for each in slices
        for port in each.get("ports") or ()
        if port.get("name", "") == named
        for endpoint in each.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    )
