from typing import Any

from support.workloads import Object, a_pod, a_service
from trainyard_devcluster.controllers.endpoints import legacy, slices
from trainyard_devcluster.controllers.endpoints.members import has_selector, members

WEB = {"app": "web"}


def a_web_pod(name: str, ip: str, **given: Any) -> Object:
    return a_pod(name, ip=ip, labels=WEB, **given)


def conditions(service: Object, *candidates: Object) -> dict[str, tuple[bool, bool, bool]]:
    found = [
        endpoint for entry in slices.desired(service, members(service, candidates)) for endpoint in entry["endpoints"]
    ]
    keys = ("ready", "serving", "terminating")
    return {entry["targetRef"]["name"]: tuple(entry["conditions"][key] for key in keys) for entry in found}


def test_only_selected_pods_with_an_address_that_have_not_ended_are_endpoints() -> None:
    candidates = [
        a_web_pod("ready", "10.0.0.1"),
        a_web_pod("unready", "10.0.0.2", ready=False),
        a_web_pod("leaving", "10.0.0.3", deleted=True),
        a_web_pod("no address yet", ""),
        a_web_pod("ended", "10.0.0.4", phase="Succeeded"),
        a_pod("another", ip="10.0.0.5", labels={"app": "other"}),
    ]
    assert conditions(a_service(), *candidates) == {
        "ready": (True, True, False),
        "unready": (False, False, False),
        "leaving": (False, True, True),
    }


def test_a_service_that_publishes_unready_addresses_calls_them_ready() -> None:
    service = a_service(publishNotReadyAddresses=True)
    assert conditions(service, a_web_pod("unready", "10.0.0.2", ready=False)) == {"unready": (True, False, False)}


def test_a_named_target_port_is_each_pods_own_and_makes_a_slice_each() -> None:
    service = a_service(ports=[{"name": "http", "port": 80, "targetPort": "web"}])
    containers = [{"name": "main", "ports": [{"name": "web", "containerPort": 8080}]}]
    other = [{"name": "main", "ports": [{"name": "web", "containerPort": 9090}]}]
    found = members(
        service,
        [
            a_web_pod("a", "10.0.0.1", spec={"containers": containers}),
            a_web_pod("b", "10.0.0.2", spec={"containers": other}),
        ],
    )
    entries = slices.desired(service, found)
    assert [(entry["ports"][0]["port"], len(entry["endpoints"])) for entry in entries] == [(8080, 1), (9090, 1)]
    assert len({entry["metadata"]["name"] for entry in entries}) == 2


def test_a_service_without_pods_has_one_empty_slice() -> None:
    [entry] = slices.desired(a_service(), [])
    assert (entry["endpoints"], entry["ports"]) == ([], [])
    assert entry["metadata"]["labels"]["kubernetes.io/service-name"] == "web"


def test_a_headless_service_is_marked_and_names_its_pods() -> None:
    service = a_service(clusterIP="None")
    pod = a_web_pod("a", "10.0.0.1")
    pod["spec"] |= {"hostname": "job-0", "subdomain": "web"}
    [entry] = slices.desired(service, members(service, [pod]))
    assert entry["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert entry["endpoints"][0]["hostname"] == "job-0"


def test_a_slice_holds_a_hundred_endpoints() -> None:
    candidates = [a_web_pod(f"p{number:03}", f"10.0.0.{number}") for number in range(150)]
    entries = slices.desired(a_service(), members(a_service(), candidates))
    assert [len(entry["endpoints"]) for entry in entries] == [100, 50]


def test_the_older_endpoints_tell_ready_from_unready_and_leave_out_the_leaving() -> None:
    candidates = [
        a_web_pod("ready", "10.0.0.1"),
        a_web_pod("unready", "10.0.0.2", ready=False),
        a_web_pod("leaving", "10.0.0.3", deleted=True),
    ]
    [subset] = legacy.desired(a_service(), members(a_service(), candidates))["subsets"]
    assert [entry["ip"] for entry in subset["addresses"]] == ["10.0.0.1"]
    assert [entry["ip"] for entry in subset["notReadyAddresses"]] == ["10.0.0.2"]
    assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]


def test_without_a_selector_endpoints_are_somebody_elses() -> None:
    service = a_service()
    service["spec"]["selector"] = {}
    assert not has_selector(service)
    assert not has_selector(a_service(type="ExternalName"))
