"""Subresources: scale, binding, eviction, tokens and logs."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from aiohttp import web

from support.objects import DEPLOYMENTS, PODS, a_container, a_deployment, a_pod

from .conftest import Api, Clock, Object

WEB, POD = f"{DEPLOYMENTS}/web", f"{PODS}/worker"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


async def test_a_deployment_scales(api: Api) -> None:
    created = await api.post(DEPLOYMENTS, a_deployment(replicas=2))
    await api.patch(f"{WEB}/status", {"status": {"replicas": 2}})
    scale = await api.get(f"{WEB}/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 2})
    assert scale["status"] == {"replicas": 2, "selector": "app=web"}
    scaled = await api.put(f"{WEB}/scale", scale | {"spec": {"replicas": 3}})
    assert scaled["metadata"]["uid"] == created["metadata"]["uid"]
    assert (await api.get(WEB))["metadata"]["generation"] == 2
    assert (await api.call("PUT", f"{WEB}/scale", scale | {"spec": {"replicas": 5}})).code == 409
    strategic = "application/strategic-merge-patch+json"
    assert (await api.patch(f"{WEB}/scale", {"spec": {"replicas": 0}}, strategic))["spec"] == {"replicas": 0}
    assert (await api.call("PUT", f"{WEB}/scale", {"spec": {"replicas": -1}})).code == 422


async def test_a_pod_is_bound_once(api: Api) -> None:
    await api.post(PODS, a_pod())
    binding = {"target": {"kind": "Node", "name": "n1"}, "metadata": {"name": "worker"}}
    assert (await api.post(f"{POD}/binding", binding))["status"] == "Success"
    pod = await api.get(POD)
    assert pod["spec"]["nodeName"] == "n1"
    assert [(each["type"], each["status"]) for each in pod["status"]["conditions"]] == [("PodScheduled", "True")]
    refused = await api.call("POST", f"{POD}/binding", binding)
    assert (refused.code, 'already assigned to node "n1"' in refused.message) == (409, True)


@pytest.mark.parametrize(
    ("pod", "binding", "code"),
    [
        (a_pod(), {}, 422),
        (a_pod(schedulingGates=[{"name": "example.dev/wait"}]), {"target": {"name": "n1"}}, 409),
        (a_pod(), {"target": {"name": "n1"}, "metadata": {"uid": "other"}}, 409),
    ],
)
async def test_bindings_may_be_refused(api: Api, pod: Object, binding: Object, code: int) -> None:
    await api.post(PODS, pod)
    assert (await api.call("POST", f"{POD}/binding", binding)).code == code


async def test_an_eviction_respects_the_budget(api: Api) -> None:
    pod = a_pod(nodeName="n1") | {"metadata": {"name": "worker", "labels": {"app": "web"}}}
    await api.post(PODS, pod)
    await api.patch(f"{POD}/status", {"status": {"phase": "Running"}})
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await api.post(BUDGETS, {"metadata": {"name": "web"}, "spec": spec})
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "worker"}}
    refused = await api.call("POST", f"{POD}/eviction", eviction)
    assert (refused.code, refused.body["reason"]) == (429, "TooManyRequests")
    await api.patch(f"{BUDGETS}/web/status", {"status": {"disruptionsAllowed": 1}})
    await api.post(f"{POD}/eviction", eviction)
    assert "deletionTimestamp" in (await api.get(POD))["metadata"]
    assert (await api.get(f"{BUDGETS}/web"))["status"]["disruptionsAllowed"] == 0


@pytest.mark.parametrize("name", ["nothing", "ephemeralcontainers", "exec"])
async def test_subresources_that_are_not_offered_are_not_there(api: Api, name: str) -> None:
    await api.post(PODS, a_pod())
    assert (await api.call("GET", f"{POD}/{name}")).code == 404
    assert (await api.call("GET", f"{POD}/binding")).code == 405


@asynccontextmanager
async def a_node(api: Api, lines: str = "one\ntwo\n", code: int = 200) -> AsyncIterator[list[web.Request]]:
    """A node whose kubelet endpoint answers with a log to the cluster's API server alone, and keeps what it was asked.

    It knows the server by what the server publishes.
    """
    asked: list[web.Request] = []
    published = await api.get("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(text=lines, status=code)

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    tls.load_verify_locations(cadata=published["data"]["client-ca-file"])
    tls.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await api.post("/api/v1/nodes", {"metadata": {"name": "n1"}, "status": status})
    try:
        yield asked
    finally:
        await runner.cleanup()


async def test_logs_come_from_the_node(api: Api) -> None:
    async with a_node(api) as asked:
        await api.post(PODS, a_pod(nodeName="n1"))
        assert await api.get(f"{POD}/log", tailLines="5", previous="true", accept="*/*") == "one\ntwo\n"
        (request,) = asked
        assert request.path == "/containerLogs/default/worker/main"
        assert dict(request.query) == {"tailLines": "5", "previous": "true"}
        assert request.transport is not None
        subject = dict(pair for (pair,) in request.transport.get_extra_info("peercert")["subject"])
        assert subject["organizationName"] == "system:masters"
        assert subject["commonName"] == "kube-apiserver-kubelet-client"


async def test_a_node_may_refuse_a_log(api: Api) -> None:
    async with a_node(api, "container main is waiting to start", 400):
        await api.post(PODS, a_pod(nodeName="n1"))
        refused = await api.call("GET", f"{POD}/log")
        assert (refused.code, refused.message) == (400, "container main is waiting to start")


@pytest.mark.parametrize(
    ("pod", "query", "message"),
    [
        (a_pod(), {}, "pod worker does not have a host assigned"),
        (a_pod(nodeName="none"), {}, "no preferred addresses found for node none"),
        (a_pod(), {"container": "other"}, "container other is not valid for pod worker"),
        (a_pod(containers=[a_container("a"), a_container("b")]), {},
         "a container name must be specified for pod worker, choose one of: [a b]"),
    ],
)  # fmt: skip
async def test_a_log_needs_a_container_on_a_node(api: Api, pod: Object, query: dict[str, str], message: str) -> None:
    await api.post(PODS, pod)
    refused = await api.call("GET", f"{POD}/log", **query)
    assert (refused.code >= 400, refused.message) == (True, message)


async def test_service_account_tokens_name_their_holder(api: Api, clock: Clock) -> None:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api.post(accounts, {"metadata": {"name": "robot"}})
    made = await api.post(f"{accounts}/robot/token", {"spec": {"expirationSeconds": 600}})
    assert made["status"]["expirationTimestamp"] == "2026-11-24T12:10:00Z"
    robot = api.as_holder_of(made["status"]["token"])
    reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    info = (await robot.post(reviews, {}))["status"]["userInfo"]
    assert info["username"] == "system:serviceaccount:default:robot"
    assert "system:serviceaccounts:default" in info["groups"]
    review = {"spec": {"token": made["status"]["token"]}}
    found = await api.post("/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert (found["status"]["authenticated"], found["status"]["user"]["username"]) == (True, info["username"])
    clock.advance(601)
    assert (await robot.call("POST", reviews, {})).code == 401
    assert (await api.call("POST", f"{accounts}/robot/token", {"spec": {"expirationSeconds": 5}})).code == 422


@pytest.mark.parametrize("ended", ["serviceaccounts/robot", "pods/worker"])
async def test_a_token_dies_with_what_it_is_bound_to(api: Api, ended: str) -> None:
    base = "/api/v1/namespaces/default"
    await api.post(f"{base}/serviceaccounts", {"metadata": {"name": "robot"}})
    await api.post(PODS, a_pod())
    bound: Any = {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "worker"}}}
    token = (await api.post(f"{base}/serviceaccounts/robot/token", bound))["status"]["token"]
    robot = api.as_holder_of(token)
    await robot.get("/api")
    await api.delete(f"{base}/{ended}")
    assert (await robot.call("GET", "/api")).code == 401
