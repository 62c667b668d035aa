"""What Gateways and their routes become: which request goes where, and the files that tell Envoy."""

import json
from pathlib import Path
from typing import Any

import pytest

from trainyard_devcluster.gateway import envoy
from trainyard_devcluster.gateway.routing import Backend, Match, attaches, endpoints, listenings, shared_hosts
from trainyard_devcluster.resources import Object

STABLE, CANARY = Backend("team", "web-a", 80), Backend("team", "web-b", 80)


def a_gateway(*listeners: Object, namespace: str = "team") -> Object:
    listener = {"name": "web", "port": 8080, "protocol": "HTTP"}
    return {
        "kind": "Gateway",
        "metadata": {"name": "edge", "namespace": namespace},
        "spec": {"listeners": list(listeners) or [listener]},
    }


def a_route(kind: str = "HTTPRoute", *, parent: Object | None = None, **spec: Any) -> Object:
    references = [{"name": "web-a", "port": 80, "weight": 90}, {"name": "web-b", "port": 80, "weight": 10}]
    return {
        "kind": kind,
        "metadata": {"name": "web", "namespace": "team"},
        "spec": {"parentRefs": [{"name": "edge"} | (parent or {})], "rules": [{"backendRefs": references}]} | spec,
    }


def a_listener(**fields: Any) -> Object:
    return {"name": "web", "port": 8080, "protocol": "HTTP"} | fields


@pytest.mark.parametrize(
    ("route", "listener", "namespace", "taken"),
    [
        pytest.param(a_route(), a_listener(), "team", True, id="its own"),
        pytest.param(a_route(parent={"name": "other"}), a_listener(), "team", False, id="another Gateway"),
        pytest.param(a_route(parent={"sectionName": "web"}), a_listener(), "team", True, id="by its listener"),
        pytest.param(a_route(parent={"sectionName": "grpc"}), a_listener(), "team", False, id="another listener"),
        pytest.param(a_route(parent={"namespace": "infra"}), a_listener(), "infra", False, id="not from elsewhere"),
        pytest.param(
            a_route(parent={"namespace": "infra"}),
            a_listener(allowedRoutes={"namespaces": {"from": "All"}}),
            "infra",
            True,
            id="from elsewhere where that is allowed",
        ),
        pytest.param(a_route(), a_listener(protocol="TCP"), "team", False, id="another protocol"),
    ],
)
def test_a_route_belongs_to_a_listener(route: Object, listener: Object, namespace: str, taken: bool) -> None:
    assert attaches(route, a_gateway(listener, namespace=namespace), listener) is taken


@pytest.mark.parametrize(
    ("own", "listener", "shared"),
    [
        ([], None, ["*"]),
        (["a.example.com"], None, ["a.example.com"]),
        ([], "a.example.com", ["a.example.com"]),
        (["a.example.com", "b.example.org"], "*.example.com", ["a.example.com"]),
        (["*.example.com"], "a.example.com", ["a.example.com"]),
    ],
)
def test_a_route_and_a_listener_share_hosts(own: list[str], listener: str | None, shared: list[str]) -> None:
    assert shared_hosts(a_route(hostnames=own), a_listener(hostname=listener)) == shared


def test_paths_and_methods_are_matched() -> None:
    paths = [
        {"path": {"type": "Exact", "value": "/v1/models/m:predict"}},
        {"path": {"type": "PathPrefix", "value": "/v1/models/m/"}},
        {},
    ]
    methods = [{"method": {"service": "a.B", "method": "C"}}, {"method": {"service": "a.B"}}, {}]
    found = [
        [match for rule in next(iter(each.hosts.values())) for match in rule.matches]
        for route in (a_route(rules=[{"matches": paths}]), a_route("GRPCRoute", rules=[{"matches": methods}]))
        for each in listenings(a_gateway(), [route])
    ]

    everything = Match("prefix", "/")
    assert found == [
        [Match("exact", "/v1/models/m:predict"), Match("below", "/v1/models/m"), everything],
        [Match("exact", "/a.B/C"), Match("prefix", "/a.B/"), everything],
    ]


SERVICE = {"spec": {"ports": [{"name": "http", "port": 80}, {"name": "grpc", "port": 81}]}}
SLICE = {
    "ports": [{"name": "grpc", "port": 8500}, {"name": "http", "port": 8501}],
    "endpoints": [
        {"addresses": ["127.64.0.2"], "conditions": {"ready": True}},
        {"addresses": ["127.64.0.1"]},
        {"addresses": ["127.64.0.3"], "conditions": {"ready": False}},
    ],
}


def test_requests_go_to_pods_that_are_ready() -> None:
    assert endpoints(STABLE, SERVICE, [SLICE]) == [("127.64.0.1", 8501), ("127.64.0.2", 8501)]
    assert endpoints(Backend("team", "web-a", 82), SERVICE, [SLICE]) == []
    assert endpoints(STABLE, None, [SLICE]) == []


def configuration(folder: Path, route: Object, places: list[tuple[str, int]]) -> dict[str, list[Object]]:
    listening = listenings(a_gateway(), [route])
    known = {("team", "edge"): "127.120.0.1"}
    return envoy.files(folder, known, listening, {STABLE: places, CANARY: places})


def test_weights_and_pods_change_no_listener_which_would_close_connections(tmp_path: Path) -> None:
    half = [{"name": "web-a", "port": 80, "weight": 1}, {"name": "web-b", "port": 80, "weight": 1}]
    before = configuration(tmp_path, a_route(), [("127.64.0.1", 8501)])
    after = configuration(tmp_path, a_route(rules=[{"backendRefs": half}]), [("127.64.0.2", 8501)])

    assert before["listeners"] == after["listeners"]
    assert before["clusters"] == after["clusters"]
    assert before["routes"] != after["routes"]


def test_a_backend_without_weight_gets_nothing_and_none_at_all_is_an_error(tmp_path: Path) -> None:
    references = [{"name": "web-a", "port": 80, "weight": 100}, {"name": "web-b", "port": 80, "weight": 0}]
    (route,) = configuration(tmp_path, a_route(rules=[{"backendRefs": references}]), [])["routes"]
    (none,) = configuration(tmp_path, a_route(rules=[{"backendRefs": references[1:]}]), [])["routes"]

    (action,) = route["virtual_hosts"][0]["routes"]
    assert action["route"]["weighted_clusters"]["clusters"] == [{"name": STABLE.name, "weight": 100}]
    assert none["virtual_hosts"][0]["routes"][0]["direct_response"] == {"status": 500}


def test_only_files_that_changed_are_replaced_and_those_of_pods_come_first(tmp_path: Path) -> None:
    envoy.write(tmp_path, configuration(tmp_path, a_route(), [("127.64.0.1", 8501)]))
    times = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}

    envoy.write(tmp_path, configuration(tmp_path, a_route(), [("127.64.0.2", 8501)]))

    changed = {file.name for file in tmp_path.iterdir() if file.stat().st_mtime_ns != times[file.name]}
    assert changed == {"endpoints_team_web-a_80.json", "endpoints_team_web-b_80.json"}
    (assignment,) = json.loads((tmp_path / "endpoints_team_web-a_80.json").read_text())["resources"]
    assert assignment["cluster_name"] == STABLE.name


def test_a_backend_is_there_before_the_route_to_it_and_after_it() -> None:
    def resources(cluster: str) -> envoy.Resources:
        return {"clusters": [{"name": cluster}], "routes": [{"to": cluster}], "listeners": []}

    steps = envoy.stages(resources("old"), resources("new"))

    assert [([cluster["name"] for cluster in step["clusters"]], step["routes"][0]["to"]) for step in steps] == [
        (["new", "old"], "old"),
        (["new", "old"], "new"),
        (["new"], "new"),
    ]
    assert envoy.stages({}, resources("new")) == [resources("new")]
    assert envoy.stages(resources("new"), resources("new")) == [resources("new")]
