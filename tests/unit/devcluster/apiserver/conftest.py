"""A server in the test's own event loop, and a client that speaks JSON with it."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from trainyard_devcluster.apiserver.auth.identity import Authenticator
from trainyard_devcluster.apiserver.auth.tokens import Signer
from trainyard_devcluster.apiserver.bootstrap import bootstrap
from trainyard_devcluster.apiserver.builtin import builtin_resources
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.credentials import Credentials, prepare
from trainyard_devcluster.apiserver.custom import serve_definitions
from trainyard_devcluster.apiserver.endpoints.logs import Logs
from trainyard_devcluster.apiserver.registry import Registry
from trainyard_devcluster.apiserver.server import Server
from trainyard_devcluster.apiserver.store import Store

Object: TypeAlias = dict[str, Any]
ADMIN_TOKEN = "admin"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@dataclass
class Clock:
    """A clock that stands still until it is told to move."""

    now: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Answer:
    """A response that was read."""

    code: int
    body: Any
    headers: dict[str, str]
    warnings: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        return str(self.body["message"])

    @property
    def causes(self) -> list[Object]:
        return list(self.body["details"]["causes"])


class Api:
    """A client of the server under test."""

    def __init__(self, client: TestClient[Any, Any], token: str = ADMIN_TOKEN) -> None:
        self._client = client
        self._token = token

    def as_holder_of(self, token: str) -> "Api":
        return Api(self._client, token)

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request; `content_type` and `accept` become headers, everything else goes into the query."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": options.pop("accept", "application/json")}
        headers["User-Agent"] = options.pop("agent", "tests/1")
        content_type = options.pop("content_type", "application/json")
        if "impersonate" in options:
            headers["Impersonate-User"] = options.pop("impersonate")
        content = body if isinstance(body, str | bytes | None) else json.dumps(body)
        if content is not None:
            headers["Content-Type"] = content_type
        async with self._client.request(method, path, data=content, headers=headers, params=options) as response:
            text = await response.text()
            found = json.loads(text) if response.content_type == "application/json" else text
            warnings = response.headers.getall("Warning", [])
            return Answer(response.status, found, dict(response.headers), warnings)

    async def get(self, path: str, **options: Any) -> Any:
        return self._good(await self.call("GET", path, **options))

    async def post(self, path: str, body: Any, **options: Any) -> Any:
        return self._good(await self.call("POST", path, body, **options))

    async def put(self, path: str, body: Any, **options: Any) -> Any:
        return self._good(await self.call("PUT", path, body, **options))

    async def patch(self, path: str, body: Any, content_type: str = MERGE, **options: Any) -> Any:
        return self._good(await self.call("PATCH", path, body, content_type=content_type, **options))

    async def apply(self, path: str, body: Any, manager: str = "tests", **options: Any) -> Any:
        answer = await self.call("PATCH", path, body, content_type=APPLY, fieldManager=manager, **options)
        return self._good(answer)

    async def delete(self, path: str, body: Any = None, **options: Any) -> Any:
        return self._good(await self.call("DELETE", path, body, **options))

    async def watch(self, path: str, **options: Any) -> "Watching":
        headers = {"Authorization": f"Bearer {self._token}", "Accept": options.pop("accept", "application/json")}
        response = await self._client.get(path, headers=headers, params={"watch": "true", **options})
        assert response.status == 200, await response.text()
        return Watching(response)

    @staticmethod
    def _good(answer: Answer) -> Any:
        assert answer.code < 300, answer.body
        return answer.body


class Watching:
    """An open watch."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response

    async def next(self) -> Object:
        """Return the next event."""
        async with asyncio.timeout(5):
            line = await self._response.content.readline()
        found: Object = json.loads(line)
        return found

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Return type and object name of the next events."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]

    async def ended(self) -> bool:
        async with asyncio.timeout(5):
            return not await self._response.content.readline()

    def close(self) -> None:
        self._response.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return prepare(tmp_path_factory.mktemp("credentials"))


@pytest.fixture
def cluster(clock: Clock, credentials: Credentials) -> Cluster:
    uids = itertools.count(1)
    store, registry = Store(revision=1000, memory=50), Registry(builtin_resources())
    made = Cluster(store, registry, IPv4Network("127.32.0.0/16"), clock, lambda: f"uid-{next(uids)}")
    serve_definitions(made)
    authority = credentials.authority.decode()
    bootstrap(made, IPv4Address("127.0.0.1"), 6443, client_authority=authority)
    # The controllers' part: without the account there are no pods.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    store.put("serviceaccounts", ("default", "default"), account | {"metadata": {"uid": "sa", **account["metadata"]}})
    return made


@pytest.fixture
async def api(cluster: Cluster, credentials: Credentials) -> AsyncIterator[Api]:
    authenticator = Authenticator(cluster, ADMIN_TOKEN, Signer(b"key"))
    server = Server(cluster, authenticator, Logs(cluster, credentials.kubelet_tls), "127.0.0.1:6443")
    async with TestClient(TestServer(server.application(), handler_cancellation=True)) as client:
        yield Api(client)
