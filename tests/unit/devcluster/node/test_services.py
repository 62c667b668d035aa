"""Where connections to Services lead."""

from typing import Any

from trainyard_devcluster.node.hosts import content
from trainyard_devcluster.node.services import plan


def a_service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "ns"}, "spec": {"clusterIP": "127.32.0.1", **spec}}


def a_slice(*endpoints: dict[str, Any], port: int = 8080, name: str = "http") -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1", "namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": name, "port": port}],
        "endpoints": list(endpoints),
    }


def an_endpoint(address: str, hostname: str | None = None, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "conditions": conditions} | ({"hostname": hostname} if hostname else {})


HTTP = {"name": "http", "port": 80}


def test_a_port_leads_to_the_ready_endpoints_of_its_name() -> None:
    service = a_service(ports=[HTTP, {"name": "grpc", "port": 81}])
    slices = [
        a_slice(an_endpoint("127.64.0.3", ready=True), an_endpoint("127.64.0.2")),
        a_slice(an_endpoint("127.64.0.4", ready=False), port=9000, name="grpc"),
    ]
    assert plan([service], slices) == {
        ("127.32.0.1", 80): (("127.64.0.2", 8080), ("127.64.0.3", 8080)),
        ("127.32.0.1", 81): (),
    }


def test_pods_that_shut_down_serve_only_where_nothing_else_does() -> None:
    leaving = an_endpoint("127.64.0.2", ready=False, serving=True, terminating=True)
    gone = an_endpoint("127.64.0.3", ready=False, serving=False, terminating=True)
    service = a_service(ports=[HTTP])
    assert plan([service], [a_slice(leaving, gone)]) == {("127.32.0.1", 80): (("127.64.0.2", 8080),)}
    ready = an_endpoint("127.64.0.9", ready=True)
    assert plan([service], [a_slice(leaving), a_slice(ready)]) == {("127.32.0.1", 80): (("127.64.0.9", 8080),)}


def test_node_ports_are_opened_on_this_machine_and_headless_services_nowhere() -> None:
    slices = [a_slice(an_endpoint("127.64.0.2"))]
    planned = plan([a_service(ports=[HTTP | {"nodePort": 30080}])], slices)
    assert planned[("127.0.0.1", 30080)] == (("127.64.0.2", 8080),)
    assert plan([a_service(clusterIP="None", ports=[HTTP])], slices) == {}
    assert plan([a_service(ports=[HTTP | {"protocol": "UDP"}])], slices) == {}


def test_the_hosts_file_names_services_and_the_pods_of_headless_ones() -> None:
    web = a_service(ports=[HTTP])
    slices = [a_slice(an_endpoint("127.64.0.2", "job-0"), an_endpoint("127.64.0.3", ready=False))]
    assert content([web], slices) == "127.32.0.1 web.ns.svc.cluster.local\n"
    assert content([a_service(clusterIP="None")], slices) == (
        "127.64.0.2 job-0.web.ns.svc.cluster.local\n127.64.0.2 web.ns.svc.cluster.local\n"
    )
