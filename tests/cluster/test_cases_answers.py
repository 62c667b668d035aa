"""Wrong answers on the operator's way to the API server: what could not be seen is not gone, and nobody waits long."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from cluster.test_modelservice import a_service, deployments, is_serving
from cluster.test_trainingjob import a_program, in_phase, jobs_of, says_result, the_job
from support.fault_proxy import Asked, FaultProxy, fault_proxy, page, refusal
from support.kube_api import Api, Object
from support.manifests import a_claim, a_config_map
from support.operator_process import OperatorProcess, running_operator
from support.published import STORE, publish

pytestmark = pytest.mark.usefixtures("cluster_crds")

ENDLESS = "trap 'exit 75' TERM; while true; do sleep 0.1; done"
LABELLED: Object = {"metadata": {"labels": {"poke": "1"}}}


@pytest.fixture(autouse=True)
def inputs(api: Api, default_class: str) -> None:
    api.apply(a_config_map("rows", **{"rows.csv": "x,y\n1,2\n"}), a_claim(STORE))


@pytest.fixture
def proxy(kubeconfig: Path, tmp_path: Path) -> Iterator[FaultProxy]:
    """Everything the operator asks goes through it."""
    with fault_proxy(kubeconfig, tmp_path) as running:
        yield running


@pytest.fixture
def operator(proxy: FaultProxy, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    with running_operator(proxy.kubeconfig, namespace, tmp_path) as process:
        yield process


def a_page_for(*plurals: str) -> object:
    """Every list of these is answered by a page."""

    def fault(asked: Asked) -> web.Response | None:
        path = asked.path.split("?")[0]
        return page(asked) if asked.method == "GET" and not asked.watch and path.endswith(plurals) else None

    return fault


def meet(proxy: FaultProxy, times: int) -> None:
    """Wait until a fault has answered so many requests."""
    deadline = time.monotonic() + 30
    while proxy.met < times:
        assert time.monotonic() < deadline, f"{proxy.met} of {times} requests met the fault"
        time.sleep(0.05)


def test_a_page_in_place_of_a_list_starts_no_second_training(
    api: Api, proxy: FaultProxy, operator: OperatorProcess
) -> None:
    job = a_program(ENDLESS)
    api.apply(job)
    before = api.wait_for(job, in_phase("Running"))

    proxy.fault = a_page_for("/jobs", "/pods", "/trainingjobs")
    proxy.cut_watches()
    api.patch(job, LABELLED)
    meet(proxy, 3)
    proxy.fault = lambda _: None
    api.patch(job, {"spec": {"runPolicy": {"attemptDeadline": "1h"}}})
    api.wait_for(the_job(), lambda live: live["spec"].get("activeDeadlineSeconds") == 3600, description="it goes on")

    assert jobs_of(api) == ["own-worker-0"]
    assert api.wait_for(job, bool)["status"]["attempts"] == before["status"]["attempts"]


@pytest.mark.usefixtures("trainyard_images", "pods_in_reach")
def test_a_page_in_place_of_a_list_takes_nothing_from_what_serves(
    api: Api, proxy: FaultProxy, operator: OperatorProcess
) -> None:
    publish(api, 1)
    service = a_service()
    api.apply(service)
    served = api.wait_for(service, is_serving(1), timeout=120)
    (before,) = deployments(api)

    proxy.fault = a_page_for("/deployments", "/services", "/pods", "/configmaps")
    proxy.cut_watches()
    api.patch(service, {"spec": {"server": {"template": {"env": [{"name": "A", "value": "b"}]}}}})
    meet(proxy, 8)
    assert before["metadata"]["uid"] in [live["metadata"]["uid"] for live in deployments(api)]
    assert api.wait_for(service, bool)["status"]["current"] == served["status"]["current"]
    proxy.fault = lambda _: None

    api.wait_for(service, is_serving(1), timeout=120)
    assert api.wait_for(service, bool)["status"]["current"]["revision"] != served["status"]["current"]["revision"]


def test_an_api_server_that_throttles_delays_nobody_for_long(
    api: Api, proxy: FaultProxy, operator: OperatorProcess
) -> None:
    chance = random.Random(20261201)

    def throttled(asked: Asked) -> web.Response | None:
        return refusal(429, "TooManyRequests", retry_after=1) if not asked.watch and chance.random() < 0.2 else None

    proxy.fault = throttled
    jobs = [a_program(says_result(name=f"own-{number}"), f"own-{number}") for number in range(5)]
    api.apply(*jobs)

    for job in jobs:
        api.wait_for(job, in_phase("Succeeded"), timeout=60)
    assert proxy.met > 3
    assert len(jobs_of(api)) == 5


def test_a_namespace_that_is_deleted_stops_no_other(
    api: Api, proxy: FaultProxy, namespace: str, tmp_path: Path
) -> None:
    gone = f"{namespace}-gone"
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": gone}}
    api.create(home)
    try:
        with running_operator(proxy.kubeconfig, f"{gone},{namespace}", tmp_path) as operator:
            api.delete(home)
            # Its Role goes with it.
            proxy.fault = lambda asked: refusal(403, "Forbidden") if f"/namespaces/{gone}/" in asked.path else None
            proxy.cut_watches()
            meet(proxy, 10)
            job = a_program(says_result())
            api.apply(job)
            api.wait_for(job, in_phase("Succeeded"))
            log = operator.log.read_text()
    finally:
        api.delete(home)
    assert log.count(f"namespace '{gone}' are not watched, which is tried again") <= 1
    assert "CRITICAL" not in log


def test_a_sidecar_that_never_ends_does_not_keep_a_finished_training(
    api: Api, proxy: FaultProxy, operator: OperatorProcess
) -> None:
    proxy.edit = _with_a_sidecar
    job = a_program(says_result())
    api.apply(job)

    ended = api.wait_for(job, in_phase("Succeeded"))

    assert ended["status"]["model"]["version"] == 1
    for pod in api.list("v1", "Pod"):
        api.wait_until_gone(pod)


def _with_a_sidecar(asked: Asked, body: Object) -> Object:
    if asked.method != "POST" or not asked.path.split("?")[0].endswith("/jobs"):
        return body
    pod = body["spec"]["template"]["spec"]
    sidecar = pod["containers"][0] | {"name": "istio-proxy", "args": [], "command": ["sh", "-c", ENDLESS]}
    pod["containers"].append(sidecar)
    return body
