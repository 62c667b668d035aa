"""The client, held to what it says on the wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.fake_api import kubeconfig
from trainyard_operator.cluster.client import KubernetesCluster
from trainyard_operator.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
)
from trainyard_operator.cluster.kinds import CONFIG_MAP, EVENT, NODE, TRAINING_JOB
from trainyard_operator.cluster.port import Cluster, Event

MANIFEST: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "team"},
    "data": {"x": "1"},
}
RESET = -1
"""In place of a code: the connection is cut."""
A_JOB: dict[str, Any] = {"kind": "TrainingJob", "metadata": {"name": "a", "namespace": "team"}}
ECHO = "echo"
"""In place of an answer: what was sent."""


def a_list(*items: dict[str, Any], kind: str = "ConfigMap", more: str = "") -> dict[str, Any]:
    return {"kind": f"{kind}List", "metadata": {"resourceVersion": "7", "continue": more}, "items": list(items)}


@dataclass
class Server:
    """Answers with what is laid out for it, and remembers what it was asked."""

    answers: list[tuple[int, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    content_types: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.requests.append((request.method, request.path, dict(request.query), json.loads(body) if body else None))
        self.tokens.append(request.headers.get("Authorization"))
        self.content_types.append(request.content_type)
        code, answer = self.answers.pop(0)
        if code == 0:
            await asyncio.sleep(5)
        if code == RESET and request.transport is not None:
            request.transport.abort()
        text = body if answer == ECHO else answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(status=max(code, 200), text=text, content_type="application/json", headers=self.headers)


def status(code: int, reason: str = "", message: str = "no", **details: Any) -> tuple[int, Any]:
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (tmp_path / "config").write_text(kubeconfig(address, "first"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    yield server
    await runner.cleanup()


async def test_an_object_is_read(server: Server) -> None:
    server.answers = [(200, A_JOB)]
    async with KubernetesCluster() as cluster:
        port: Cluster = cluster
        assert await port.get(TRAINING_JOB, "team", "a") == A_JOB
    assert server.requests == [("GET", "/apis/trainyard.dev/v1alpha1/namespaces/team/trainingjobs/a", {}, None)]
    assert server.tokens == ["Bearer first"]


async def test_a_list_is_read_page_by_page_typed_and_in_order(server: Server) -> None:
    b, a = ({"metadata": {"name": name, "namespace": "team"}} for name in "ba")
    server.answers = [(200, a_list(b, more="more")), (200, a_list(a))]
    async with KubernetesCluster() as cluster:
        found = await cluster.select(CONFIG_MAP, "team", labels={"y": "2", "x": "1"})
    assert [each["metadata"]["name"] for each in found] == ["a", "b"]
    assert found[0]["kind"] == "ConfigMap"
    query = {"limit": "500", "labelSelector": "x=1,y=2"}
    path = "/api/v1/namespaces/team/configmaps"
    assert server.requests == [("GET", path, query, None), ("GET", path, query | {"continue": "more"}, None)]


async def test_all_namespaces_are_listed_where_none_is_named(server: Server) -> None:
    server.answers = [(200, a_list(kind="TrainingJob"))]
    async with KubernetesCluster() as cluster:
        assert await cluster.select(TRAINING_JOB) == []
    assert server.requests[0][1] == "/apis/trainyard.dev/v1alpha1/trainingjobs"


async def test_what_has_no_namespace_is_listed_and_read(server: Server) -> None:
    node = {"kind": "Node", "metadata": {"name": "n1"}}
    server.answers = [(200, a_list(node, kind="Node")), (200, node)]

    async with KubernetesCluster() as cluster:
        listed = await cluster.select(NODE)
        read = await cluster.get(NODE, "", "n1")

    assert [found["metadata"]["name"] for found in (*listed, read)] == ["n1", "n1"]
    assert [path for _, path, _, _ in server.requests] == ["/api/v1/nodes", "/api/v1/nodes/n1"]


async def test_the_end_of_a_log_is_read_as_text(server: Server) -> None:
    server.answers = [(200, "epoch 1\n{}\n")]
    async with KubernetesCluster() as cluster:
        log = await cluster.log("team", "churn-worker-0-0-abcde", container="trainer", lines=50, most_bytes=1000)
    assert log == "epoch 1\n{}\n"
    query = {"container": "trainer", "tailLines": "50", "limitBytes": "1000"}
    assert server.requests == [("GET", "/api/v1/namespaces/team/pods/churn-worker-0-0-abcde/log", query, None)]


async def test_a_log_that_is_not_there_yet_is_an_error(server: Server) -> None:
    server.answers = [status(400, "BadRequest", 'container "trainer" is waiting to start')]
    async with KubernetesCluster() as cluster:
        with pytest.raises(Invalid, match="waiting to start"):
            await cluster.log("team", "churn-worker-0-0-abcde", container="trainer", lines=50, most_bytes=1000)


async def test_objects_are_written_under_our_field_manager(server: Server) -> None:
    server.answers = [(201, MANIFEST), (200, MANIFEST), (200, MANIFEST), (200, {"kind": "Status"})]
    full = MANIFEST
    async with KubernetesCluster() as cluster:
        await cluster.create(CONFIG_MAP, MANIFEST)
        await cluster.apply(CONFIG_MAP, MANIFEST)
        await cluster.apply_status(CONFIG_MAP, MANIFEST)
        await cluster.delete(CONFIG_MAP, "team", "a", uid="u1")
    path, applied = "/api/v1/namespaces/team/configmaps", {"fieldManager": "trainyard", "force": "true"}
    assert server.requests == [
        ("POST", path, {"fieldManager": "trainyard"}, full),
        ("PATCH", f"{path}/a", applied, full),
        ("PATCH", f"{path}/a/status", applied, full),
        ("DELETE", f"{path}/a", {}, {"propagationPolicy": "Background", "preconditions": {"uid": "u1"}}),
    ]
    assert server.content_types[1:3] == ["application/apply-patch+yaml"] * 2


async def test_a_field_that_is_null_is_removed_whoever_owns_it_before_the_rest_is_applied(server: Server) -> None:
    seen = MANIFEST["metadata"] | {"uid": "u1", "resourceVersion": "7"}
    without = MANIFEST | {"metadata": seen | {"resourceVersion": "8"}}
    server.answers = [(200, without), (200, without)]
    async with KubernetesCluster() as cluster:
        await cluster.apply(CONFIG_MAP, MANIFEST | {"metadata": seen, "data": {"kept": "a", "gone": None}})
    (_, url, _, removed), (_, _, _, applied) = server.requests
    identity = {"name": "a", "namespace": "team", "uid": "u1", "resourceVersion": "7"}
    assert (url, removed) == ("/api/v1/namespaces/team/configmaps/a", {"data": {"gone": None}, "metadata": identity})
    assert (applied["data"], applied["metadata"]["resourceVersion"]) == ({"kept": "a"}, "8")
    assert server.content_types == ["application/merge-patch+json", "application/apply-patch+yaml"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(404, "NotFound"), NotFound),
        (status(409, "Conflict"), Conflict),
        (status(409, "AlreadyExists"), AlreadyExists),
        (status(422, "Invalid"), Invalid),
        (status(400, "BadRequest"), Invalid),
        (status(403, "Forbidden"), Forbidden),
        (status(429, "TooManyRequests"), Unavailable),
        (status(500, "InternalError"), Unavailable),
        ((503, "<html>Service Unavailable</html>"), Unavailable),
        ((418, "[]"), ApiError),
    ],
)
async def test_each_kind_of_refusal_is_an_error_that_says_what_to_do(
    server: Server, answer: tuple[int, Any], error: type[ApiError]
) -> None:
    server.answers = [answer]
    async with KubernetesCluster() as cluster:
        with pytest.raises(ApiError) as raised:
            await cluster.get(CONFIG_MAP, "team", "a")
    assert type(raised.value) is error
    assert raised.value.code == answer[0]


async def test_deleting_what_is_gone_is_success(server: Server) -> None:
    server.answers = [status(404, "NotFound")]
    async with KubernetesCluster() as cluster:
        await cluster.delete(CONFIG_MAP, "team", "a", uid="u1")


@pytest.mark.parametrize("how", ["header", "details"])
async def test_the_wait_that_the_server_asks_for_is_known(server: Server, how: str) -> None:
    server.answers = [status(429, retryAfterSeconds=7) if how == "details" else (429, "")]
    server.headers = {"Retry-After": "7"} if how == "header" else {}
    async with KubernetesCluster(patience=1) as cluster:
        with pytest.raises(Unavailable) as raised:
            await cluster.get(CONFIG_MAP, "team", "a")
    assert raised.value.retry_after == 7


async def test_a_token_that_is_no_longer_taken_is_read_anew(server: Server, tmp_path: Path) -> None:
    server.answers = [(200, MANIFEST), status(401), (200, MANIFEST)]
    async with KubernetesCluster() as cluster:
        await cluster.get(CONFIG_MAP, "team", "a")
        (tmp_path / "config").write_text((tmp_path / "config").read_text().replace("first", "second"))
        await cluster.get(CONFIG_MAP, "team", "a")
    assert server.tokens == ["Bearer first", "Bearer first", "Bearer second"]


async def test_wrong_credentials_are_not_tried_for_ever(server: Server) -> None:
    server.answers = [status(401, "Unauthorized")] * 2
    async with KubernetesCluster() as cluster:
        with pytest.raises(Forbidden):
            await cluster.get(CONFIG_MAP, "team", "a")


async def test_no_answer_in_time_is_an_error_and_every_request_is_counted(server: Server) -> None:
    server.answers = [(200, MANIFEST), status(404), (0, {})]
    seen: list[tuple[str, int]] = []
    async with KubernetesCluster(timeout=0.2, observe=lambda method, code, _: seen.append((method, code))) as cluster:
        await cluster.get(CONFIG_MAP, "team", "a")
        with pytest.raises(NotFound):
            await cluster.get(CONFIG_MAP, "team", "a")
        with pytest.raises(Unavailable, match=r"no answer within 0\.2 s"):
            await cluster.get(CONFIG_MAP, "team", "a")
    assert seen == [("GET", 200), ("GET", 404), ("GET", 0)]


async def test_a_server_that_is_down_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(kubeconfig("http://127.0.0.1:1"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    async with KubernetesCluster() as cluster:
        with pytest.raises(Unavailable):
            await cluster.get(CONFIG_MAP, "team", "a")


async def test_several_kubeconfigs_are_read_as_kubectl_reads_them(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/missing:{tmp_path}/config")
    server.answers = [(200, MANIFEST)]
    async with KubernetesCluster() as cluster:
        await cluster.get(CONFIG_MAP, "team", "a")
    assert len(server.requests) == 1


async def test_an_empty_kubeconfig_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    with pytest.raises(ApiError, match="token"):  # of the service account, which this process does not have
        async with KubernetesCluster():
            pass


async def test_an_event_that_repeats_itself_raises_its_count(server: Server) -> None:
    server.answers = [(201, ECHO), (200, ECHO), (201, ECHO)]
    regarding = {"apiVersion": "trainyard.dev/v1alpha1", "kind": "TrainingJob"} | {
        "metadata": {"name": "churn", "namespace": "team", "uid": "u1"}
    }
    async with KubernetesCluster() as cluster:
        for message in ("boom", "boom", "bang"):
            await cluster.emit(regarding, Event("Warning", "Failed", message))
    first, second, third = (body for _, _, _, body in server.requests)
    assert first["metadata"]["name"] == second["metadata"]["name"] != third["metadata"]["name"]
    assert [first["count"], second["count"], third["count"]] == [1, 2, 1]
    assert first["firstTimestamp"] == second["firstTimestamp"]
    assert first["involvedObject"] == {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "namespace": "team",
        "name": "churn",
        "uid": "u1",
    }
    assert server.requests[0][1].startswith(f"/api/v1/namespaces/team/{EVENT.plural}/churn.")


async def test_an_event_that_may_be_there_already_is_recorded_only_where_it_is_not(server: Server) -> None:
    server.answers = [(201, ECHO), status(409, "AlreadyExists"), (200, ECHO)]
    regarding = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "namespace": "team", "uid": "u"}}
    event = Event("Normal", "Started", "x")
    async with KubernetesCluster() as cluster:
        assert await cluster.emit(regarding, event, again=True)
        assert not await cluster.emit(regarding, event, again=True)
        assert await cluster.emit(regarding, event)
    (first, _, _, one), (second, _, _, two), (third, url, _, three) = server.requests
    assert (first, second, third) == ("POST", "POST", "PATCH")
    assert one["metadata"]["name"] == two["metadata"]["name"] == three["metadata"]["name"]
    assert three["metadata"]["name"] in url


async def test_an_event_that_cannot_be_recorded_does_no_harm(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers = [status(403, message="namespace is being terminated")]
    regarding = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "namespace": "team", "uid": "u"}}
    async with KubernetesCluster() as cluster:
        await cluster.emit(regarding, Event("Normal", "Started", "x"))
    assert "namespace is being terminated" in caplog.text


PAGE = "<html>please log in</html>"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(PAGE, id="a login page"),
        pytest.param("", id="nothing"),
        pytest.param("[]", id="no object"),
        pytest.param("{}", id="no kind"),
        pytest.param('{"kind": "Config', id="cut"),
        pytest.param("[" * 100_000, id="nested without end"),
        pytest.param({"kind": "Status", "status": "Success"}, id="another kind"),
        pytest.param(MANIFEST | {"kind": "Secret"}, id="an object of another kind"),
        pytest.param({"kind": "ConfigMap"}, id="without metadata"),
        pytest.param(MANIFEST | {"metadata": {"name": "b", "namespace": "team"}}, id="an object of another name"),
    ],
)
@pytest.mark.parametrize("verb", ["get", "create", "apply", "apply_status"])
async def test_an_answer_200_that_is_not_the_object_is_an_error(server: Server, verb: str, answer: Any) -> None:
    server.answers = [(200, answer)]
    async with KubernetesCluster() as cluster:
        calls = {
            "get": lambda: cluster.get(CONFIG_MAP, "team", "a"),
            "create": lambda: cluster.create(CONFIG_MAP, MANIFEST),
            "apply": lambda: cluster.apply(CONFIG_MAP, MANIFEST),
            "apply_status": lambda: cluster.apply_status(CONFIG_MAP, MANIFEST),
        }
        with pytest.raises(Unavailable, match="expected a ConfigMap, got"):
            await calls[verb]()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(PAGE, id="a login page"),
        pytest.param("", id="nothing"),
        pytest.param("null", id="null"),
        pytest.param({"metadata": {}, "items": []}, id="without kind"),
        pytest.param({"kind": "ConfigMapList", "metadata": {}}, id="without items"),
        pytest.param({"kind": "ConfigMapList", "metadata": {}, "items": None}, id="items null"),
        pytest.param({"kind": "ConfigMapList", "items": []}, id="without metadata"),
        pytest.param({"kind": "ConfigMapList", "metadata": {}, "items": []}, id="empty, of no moment"),
        pytest.param(a_list() | {"items": [None]}, id="items that are null"),
        pytest.param(json.dumps(a_list(MANIFEST))[:-9], id="cut in the middle"),
        pytest.param("[" * 100_000, id="deeper than Python goes"),
        pytest.param(a_list(kind="Secret"), id="a list of another kind"),
        pytest.param(MANIFEST, id="one object"),
        pytest.param(a_list() | {"items": [{}]}, id="an item without a name"),
        pytest.param(a_list() | {"items": ["a"]}, id="an item that is no object"),
        pytest.param(a_list(MANIFEST | {"kind": "Secret"}), id="an item of another kind"),
    ],
)
@pytest.mark.parametrize("page", [1, 2])
async def test_an_answer_200_that_is_no_list_is_an_error_on_every_page(server: Server, page: int, answer: Any) -> None:
    server.answers = [*[(200, a_list(MANIFEST, more="more"))] * (page - 1), (200, answer)]
    async with KubernetesCluster() as cluster:
        with pytest.raises(Unavailable, match="expected a ConfigMapList"):
            await cluster.select(CONFIG_MAP, "team")


async def test_a_list_that_never_ends_is_an_error(server: Server) -> None:
    server.answers = [(200, a_list(MANIFEST, more="more"))] * 5
    async with KubernetesCluster() as cluster:
        with pytest.raises(Unavailable, match="the page that has just come"):
            await cluster.select(CONFIG_MAP, "team")
    assert len(server.requests) == 2


async def test_an_answer_200_that_is_a_page_deletes_nothing(server: Server) -> None:
    server.answers = [(200, PAGE)]
    async with KubernetesCluster() as cluster:
        with pytest.raises(Unavailable, match="please log in"):
            await cluster.delete(CONFIG_MAP, "team", "a", uid="u1")


class Naps:
    """Sleeps in no time, and remembers how long it was to be."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_a_request_that_is_to_be_repeated_is_repeated_after_the_wait_asked_for(server: Server, code: int) -> None:
    server.answers = [*[status(code, retryAfterSeconds=2)] * 3, (200, MANIFEST)]
    naps = Naps()
    async with KubernetesCluster(sleep=naps) as cluster:
        assert await cluster.get(CONFIG_MAP, "team", "a") == MANIFEST
    assert naps.seconds == [2, 2, 2]


async def test_a_request_is_repeated_ten_times_and_no_more(server: Server) -> None:
    server.answers = [status(429, retryAfterSeconds=1)] * 11
    async with KubernetesCluster(sleep=Naps()) as cluster:
        with pytest.raises(Unavailable):
            await cluster.get(CONFIG_MAP, "team", "a")
    assert len(server.requests) == 11


async def test_a_cut_connection_is_repeated_whatever_was_asked(server: Server) -> None:
    server.answers = [(RESET, ""), (RESET, ""), (201, MANIFEST), (RESET, ""), status(404, "NotFound")]
    naps = Naps()
    async with KubernetesCluster(sleep=naps) as cluster:
        await cluster.create(CONFIG_MAP, MANIFEST)
        await cluster.delete(CONFIG_MAP, "team", "a", uid="u1")
    assert len(server.requests) == 5
    # A connection kept from before is replaced without a pause.
    assert 2 <= len(naps.seconds) <= 3
    assert all(0 < each < 1 for each in naps.seconds)


@pytest.mark.parametrize(("code", "kind"), [(500, Unavailable), (503, Unavailable), (422, Invalid), (409, Conflict)])
async def test_what_the_server_does_not_ask_to_repeat_is_not_repeated(
    server: Server, code: int, kind: type[ApiError]
) -> None:
    server.answers = [status(code)]
    async with KubernetesCluster(sleep=Naps()) as cluster:
        with pytest.raises(kind):
            await cluster.get(CONFIG_MAP, "team", "a")
    assert len(server.requests) == 1
