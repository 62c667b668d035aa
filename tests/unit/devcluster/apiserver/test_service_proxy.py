from typing import Any

import pytest

from trainyard_devcluster.apiserver.endpoints.service_proxy import split_name, url_of
from trainyard_devcluster.apiserver.errors import ApiError


def a_service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "grpc", "port": 8500}, {"name": "http", "port": 8501}]
    return {"metadata": {"name": "churn"}, "spec": {"clusterIP": "127.32.0.9", "ports": ports} | spec}


@pytest.mark.parametrize(
    ("segment", "service", "port"),
    [("churn", "churn", ""), ("churn:http", "churn", "http"), ("http:churn:8501", "churn", "8501")],
)
def test_a_segment_names_a_service_and_a_port(segment: str, service: str, port: str) -> None:
    assert split_name(segment) == (service, port)


@pytest.mark.parametrize("port", ["http", "8501"])
def test_a_port_goes_by_its_name_or_its_number(port: str) -> None:
    assert url_of(a_service(), port, "v1/models/churn") == "http://127.32.0.9:8501/v1/models/churn"


def test_the_only_port_needs_no_name() -> None:
    assert url_of(a_service(ports=[{"port": 80}]), "", "") == "http://127.32.0.9:80/"


@pytest.mark.parametrize(
    ("service", "port"), [(a_service(), ""), (a_service(), "x"), (a_service(clusterIP="None"), "http")]
)
def test_a_service_that_cannot_be_reached_is_unavailable(service: dict[str, Any], port: str) -> None:
    with pytest.raises(ApiError, match="no endpoints available for service") as caught:
        url_of(service, port, "")

    assert caught.value.code == 503
