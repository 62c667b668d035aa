"""Clients as pods that ask model `line` at a steady pace, never ask twice, and note each request that they made."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from support.kube_api import Api, Object
from support.manifests import PYTHON_IMAGE, a_pod
from support.published import OPERATOR_IMAGE, predict_request
from trainyard_api import tensorflow_serving_pb2

# A line for each quarter of a second: what came back, how often, when first and last; the milliseconds that it took.
_ASK = """
import base64, json, sys, time
given = json.loads(sys.argv[1])
{connect}
while True:
    began, took, answers, errors = time.time(), [], {}, []
    while time.time() < began + 0.25:
        at = time.time()
        try:
            answer = ask()
            count, first, _ = answers.get(answer, (0, at, at))
            answers[answer] = (count + 1, first, time.time())
        except {errors} as error:
            errors.append([at, repr(error)[:300]])
        took.append(round((time.time() - at) * 1000, 2))
        time.sleep(max(0, at + given["every"] - time.time()))
    print(json.dumps({"at": began, "took": took, "answers": answers, "errors": errors}), flush=True)
"""

# Like the pools of common clients: an idle connection that the server has closed is not used again.
_REST = """
import http.client, select
connection, opened = None, 0.0
body = json.dumps({"instances": [1.0]})

def ask():
    global connection, opened
    if connection and connection.sock and select.select([connection.sock], [], [], 0)[0]:
        connection.close()
    if connection and (not connection.sock or time.monotonic() - opened >= given["renew"]):
        connection.close()
        connection = None
    if connection is None:
        connection, opened = http.client.HTTPConnection(given["address"], given["port"], timeout=10), time.monotonic()
        connection.connect()
    kept = connection
    connection = None
    kept.request("POST", "/v1/models/line:predict", body, {"Host": given["host"]})
    response = kept.getresponse()
    answer = response.read().decode()
    connection = kept
    if response.status != 200:
        raise OSError(f"{response.status} {answer}")
    return json.loads(answer)["predictions"][0]
"""

_GRPC = """
import socket, struct
import grpc
from google.protobuf import descriptor_pool, message_factory

pool = descriptor_pool.DescriptorPool()
pool.AddSerializedFile(base64.b64decode("{messages}"))
Reply = message_factory.GetMessageClass(pool.FindMessageTypeByName("trainyard.tensorflow_serving.PredictResponse"))
request = base64.b64decode("{request}")
# On the devcluster names are resolved for Python, not for gRPC's own resolver.
address = socket.gethostbyname(given["address"])
channel = grpc.insecure_channel(f"{address}:{given['port']}", options=[("grpc.default_authority", given["host"])])
call = channel.unary_unary(
    "/tensorflow.serving.PredictionService/Predict", response_deserializer=Reply.FromString
)

def ask():
    answer = call(request, timeout=10)
    y = answer.outputs["y"].tensor_content
    (said,) = struct.unpack("<f", y) if y else answer.outputs["y"].float_val
    return said
""".replace("{messages}", base64.b64encode(tensorflow_serving_pb2.DESCRIPTOR.serialized_pb).decode()).replace(
    "{request}", base64.b64encode(predict_request("line")).decode()
)

_PROTOCOLS = {"rest": (PYTHON_IMAGE, _REST, "(OSError, http.client.HTTPException)"),
              "grpc": (OPERATOR_IMAGE, _GRPC, "grpc.RpcError")}  # fmt: skip
NEVER = 1e9


@dataclass(frozen=True, slots=True)
class Asking:
    """How a client asks.

    Attributes:
        spreads: Whether its requests spread over all that answer, and not over those that its connection leads to.
        renew: After how many seconds it opens a new connection; 0 for each request one.
    """

    name: str
    protocol: str
    address: str
    port: int
    host: str
    spreads: bool
    renew: float = NEVER


@dataclass(slots=True)
class Requests:
    """What became of requests.

    Attributes:
        took: The milliseconds of each.
        answers: How often each answer came, and when first and last.
        errors: When what went wrong.
    """

    took: list[float] = field(default_factory=list)
    answers: dict[float, tuple[int, float, float]] = field(default_factory=dict)
    errors: list[tuple[float, str]] = field(default_factory=list)

    def add(self, other: "Requests") -> None:
        """Add what became of others."""
        self.took += other.took
        self.errors += other.errors
        for answer, (count, first, last) in other.answers.items():
            known = self.answers.get(answer, (0, first, last))
            self.answers[answer] = (known[0] + count, min(known[1], first), max(known[2], last))

    def quantile(self, share: float) -> float:
        """Return the milliseconds within which this share of the requests was answered."""
        return sorted(self.took)[min(len(self.took) - 1, int(len(self.took) * share))]


class PacedClient:
    """A pod that asks until it is deleted."""

    def __init__(self, api: Api, asking: Asking, *, every: float) -> None:
        image, connect, errors = _PROTOCOLS[asking.protocol]
        code = _ASK.replace("{connect}", connect).replace("{errors}", errors)
        given = {"address": asking.address, "port": asking.port, "host": asking.host}
        given |= {"renew": asking.renew, "every": every}
        container = {"name": "main", "image": image, "command": ["python", "-u", "-c", code, json.dumps(given)]}
        self.asking = asking
        self._api = api
        self._pod = a_pod(container, name=asking.name)
        api.apply(self._pod)
        api.wait_for(self._pod, lambda _: bool(self._lines()), timeout=60, description="it has asked")

    def between(self, began: float, ended: float) -> Requests:
        """Return what became of the requests in a span of time, which each belong to one span."""
        found = Requests()
        for line in self._lines():
            if began <= line["at"] < ended:
                answers = {float(answer): tuple(seen) for answer, seen in line["answers"].items()}
                found.add(Requests(line["took"], answers, [tuple(error) for error in line["errors"]]))
        return found

    def _lines(self) -> list[Object]:
        return [json.loads(line) for line in self._log() if line.startswith("{") and line.endswith("}")]

    def _log(self) -> Iterator[str]:
        name = self._pod["metadata"]["name"]
        found = self._api.get(self._pod) or {}
        phase = found.get("status", {}).get("phase")
        if phase not in (None, "Pending", "Running"):
            raise AssertionError(f"client {name} has ended: {self._api.logs(name)[-2000:]}")
        return iter(self._api.logs(name).splitlines() if phase == "Running" else ())
