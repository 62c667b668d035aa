"""The port to the API server, held against a small HTTP server in place of one."""

import json
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from trainyard.cluster import CONFIG_MAPS, TRAINING_JOBS
from trainyard.errors import ClusterError, Conflict, Forbidden, NotFound, Refused, TrainyardError, Unreachable, Usage
from trainyard.kube import KubernetesCluster, connect

Answer = tuple[int, Any]


class Server:
    """Answers with what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[], Answer]] = []
        self.asked: list[tuple[str, str, dict[str, list[str]], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                outer.asked.append((self.command, parts.path, parse_qs(parts.query), content))
                outer.headers = self.headers
                code, body = outer.answers.pop(0) if outer.answers else (200, {})  # type: ignore[misc]
                sent = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.headers = Message()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.http.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.http.shutdown()
    found.http.server_close()
    thread.join()


def a_kubeconfig(folder: Path, url: str, namespace: str | None = "team") -> Path:
    context = {"cluster": "c", "user": "u"} | ({"namespace": namespace} if namespace else {})
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "secret-token"}}],
        "contexts": [{"name": "main", "context": context}, {"name": "other", "context": context | {"namespace": "o"}}],
        "current-context": "main",
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture
def cluster(server: Server, tmp_path: Path) -> KubernetesCluster:
    return connect(a_kubeconfig(tmp_path, server.url))


def a_status(code: int, message: str, **details: Any) -> Answer:
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "details": details}


def test_the_kubeconfig_says_where_as_whom_and_in_which_namespace(cluster: KubernetesCluster, server: Server) -> None:
    server.answers = [(200, {"metadata": {"name": "a b"}})]

    cluster.get(TRAINING_JOBS, cluster.namespace, "a b")

    assert cluster.namespace == "team"
    assert server.headers["Authorization"] == "Bearer secret-token"
    path = "/apis/trainyard.dev/v1alpha1/namespaces/team/trainingjobs/a%20b"
    assert server.asked == [("GET", path, {}, b"")]


def test_another_context_can_be_chosen(server: Server, tmp_path: Path) -> None:
    assert connect(a_kubeconfig(tmp_path, server.url), "other").namespace == "o"


@pytest.mark.parametrize(
    ("context", "said"),
    [pytest.param("mian", "no context 'mian': it has main, other", id="no such context")],
)
def test_a_context_that_is_not_there_is_refused(tmp_path: Path, context: str, said: str) -> None:
    with pytest.raises(Usage, match=said):
        connect(a_kubeconfig(tmp_path, "http://127.0.0.1:1"), context)


def test_no_kubeconfig_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)

    with pytest.raises(Usage, match=r"the kubeconfig .* does not exist"):
        connect(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        pytest.param(a_status(404, 'trainingjobs "x" not found'), NotFound, 'trainingjobs "x" not found', id="404"),
        pytest.param(a_status(409, "already exists"), Conflict, "already exists", id="409"),
        pytest.param(a_status(403, "jobs is forbidden"), Forbidden, "jobs is forbidden; ask whoever runs", id="403"),
        pytest.param(a_status(401, "Unauthorized"), Forbidden, "Unauthorized; log in again", id="401"),
        pytest.param(
            a_status(
                422,
                'TrainingJob.trainyard.dev "x" is invalid: [spec.fit: Invalid value: ...]',
                causes=[
                    {"field": "spec.fit.loss", "message": "a loss has to fit the task"},
                    {
                        "field": "<nil>",
                        "message": "some validation rules were not checked because the object was invalid",
                    },
                ],
            ),
            Refused,
            "spec.fit.loss: a loss has to fit the task",
            id="422 with causes",
        ),
        pytest.param(a_status(503, "no endpoints available"), Unreachable, "no endpoints available", id="503"),
        pytest.param(
            (500, b"boom"), ClusterError, "the API server answered 500: boom", id="an error that is no Status"
        ),
    ],
)
def test_an_error_of_the_api_server_is_an_exception_of_one_line(
    cluster: KubernetesCluster, server: Server, answer: Answer, kind: type[TrainyardError], said: str
) -> None:
    server.answers = [answer]

    with pytest.raises(kind) as raised:
        cluster.get(TRAINING_JOBS, "team", "x")

    assert str(raised.value).startswith(said)
    assert "\n" not in str(raised.value)
    assert "not checked" not in str(raised.value)


def test_a_cluster_that_does_not_answer_is_named(tmp_path: Path) -> None:
    cluster = connect(a_kubeconfig(tmp_path, "http://127.0.0.1:1"))

    with pytest.raises(Unreachable, match=r"the API server http://127.0.0.1:1 does not answer: .*KUBECONFIG"):
        cluster.get(TRAINING_JOBS, "team", "x")


def test_lists_are_read_to_their_last_page(cluster: KubernetesCluster, server: Server) -> None:
    first = {"metadata": {"continue": "more"}, "items": [{"metadata": {"name": "a"}}]}
    server.answers = [(200, first), (200, {"metadata": {}, "items": [{"metadata": {"name": "b"}}]})]

    found = cluster.select(TRAINING_JOBS, None, labels="model=churn")

    assert [each["metadata"]["name"] for each in found] == ["a", "b"]
    assert [query.get("continue") for _, _, query, _ in server.asked] == [None, ["more"]]
    assert {path for _, path, _, _ in server.asked} == {"/apis/trainyard.dev/v1alpha1/trainingjobs"}
    assert server.asked[0][2]["labelSelector"] == ["model=churn"]


def test_a_watch_tells_the_state_and_each_change_and_begins_again_where_it_breaks(
    cluster: KubernetesCluster, server: Server
) -> None:
    def listed(version: int) -> Answer:
        return 200, {"metadata": {"resourceVersion": str(version)}, "items": [{"n": version}]}

    lines = [
        {"type": "MODIFIED", "object": {"n": 2}},
        {"type": "BOOKMARK", "object": {}},
        {"type": "ERROR", "object": {"code": 410}},
    ]
    server.answers = [listed(1), (200, "\n".join(map(json.dumps, lines)).encode() + b"\n"), listed(3)]
    server.answers += [(200, json.dumps({"type": "DELETED", "object": {}}).encode() + b"\n")]

    watching = cluster.watch(TRAINING_JOBS, "team", "x", seconds=60)

    assert [next(watching) for _ in range(4)] == [{"n": 1}, {"n": 2}, {"n": 3}, None]
    watching.close()  # type: ignore[attr-defined]
    assert server.asked[1][2]["resourceVersion"] == ["1"]
    assert server.asked[3][2]["resourceVersion"] == ["3"]
    assert server.asked[1][2]["fieldSelector"] == ["metadata.name=x"]


def test_unknown_fields_are_for_the_api_server_to_refuse_too(cluster: KubernetesCluster, server: Server) -> None:
    cluster.create(CONFIG_MAPS, "team", {"metadata": {"name": "x"}})

    ((method, path, query, body),) = server.asked
    assert (method, path) == ("POST", "/api/v1/namespaces/team/configmaps")
    assert query == {"fieldValidation": ["Strict"]}
    assert json.loads(body) == {"metadata": {"name": "x"}}


def test_patches_say_how_they_merge(cluster: KubernetesCluster, server: Server) -> None:
    cluster.patch(CONFIG_MAPS, "team", "x", {"a": 1})
    assert server.headers["Content-Type"] == "application/merge-patch+json"

    cluster.patch(CONFIG_MAPS, "team", "x", {"a": 1}, strategic=True)
    assert server.headers["Content-Type"] == "application/strategic-merge-patch+json"


def test_deleting_what_is_gone_is_no_error(cluster: KubernetesCluster, server: Server) -> None:
    server.answers = [a_status(404, "not found")]

    cluster.delete(CONFIG_MAPS, "team", "x")

    assert json.loads(server.asked[0][3]) == {"propagationPolicy": "Background"}


def test_a_log_is_read_line_by_line(cluster: KubernetesCluster, server: Server) -> None:
    server.answers = [(200, "one\ntwö\nthree".encode())]

    assert list(cluster.log("team", "pod", container="trainer", lines=3)) == ["one", "twö", "three"]
    assert server.asked[0][2] == {"container": ["trainer"], "tailLines": ["3"]}


def test_a_service_is_asked_through_the_proxy_and_its_own_errors_are_replies(
    cluster: KubernetesCluster, server: Server
) -> None:
    server.answers = [(400, {"error": "no such column"})]

    reply = cluster.proxy("team", "churn:8501", "v1/models/churn:predict", method="POST", body=b"{}", query={"a": "1"})

    assert (reply.status, json.loads(reply.body)) == (400, {"error": "no such column"})
    ((method, path, query, body),) = server.asked
    assert path == "/api/v1/namespaces/team/services/http:churn:8501/proxy/v1/models/churn:predict"
    assert (method, query, body) == ("POST", {"a": ["1"]}, b"{}")


def test_a_service_without_pods_is_unreachable(cluster: KubernetesCluster, server: Server) -> None:
    server.answers = [a_status(503, 'no endpoints available for service "churn"')]

    with pytest.raises(Unreachable, match="no endpoints available"):
        cluster.proxy("team", "churn:8501", "x")


def test_many_threads_share_one_connection(cluster: KubernetesCluster, server: Server) -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(cluster.raw("/version"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [{}] * 8
