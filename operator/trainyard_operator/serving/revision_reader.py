"""Asks a pod of a new revision before it gets any traffic: golden requests by REST, its signatures by gRPC.

Golden requests are what clients send, and they count in TensorFlow Serving's metrics as those do. So they are sent only
while a revision is new.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import aiohttp
import grpc
import grpc.aio

from trainyard_api.names import GRPC_PORT, REST_PORT
from trainyard_api.tensorflow_serving_pb2 import GetModelMetadataRequest, GetModelMetadataResponse, ModelSpec, Version
from trainyard_operator.runtime.poller import Poller
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.serving.checks import CheckResult, GoldenRequest, verdict
from trainyard_operator.serving.model_status_reader import Served
from trainyard_operator.serving.signatures import SIGNATURE_FIELD, ModelSignatures, answer
from trainyard_operator.workloads.pods import url_host
from trainyard_operator.workloads.text import clean

_MOST_BYTES = 2**20
_TIMEOUT = 10.0
_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
# A proxy named in the environment is for the way out of the cluster, not to its pods.
_OPTIONS = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", _MOST_BYTES))


@dataclass(frozen=True, slots=True)
class Checked:
    """A pod that shall answer golden requests."""

    served: Served
    requests: tuple[GoldenRequest, ...]


class RevisionSource(Protocol):
    """Knows what pods of new revisions answer; None where they were not asked yet."""

    async def checks(self, key: Key, checked: Checked) -> CheckResult | None:
        """Return what came of the checks of a pod."""
        ...

    async def signatures(self, key: Key, served: Served) -> ModelSignatures | None:
        """Return the signatures of a pod's model."""
        ...


@dataclass(frozen=True, slots=True)
class PolledRevisions:
    """Implements `RevisionSource`: pods are asked in the background."""

    checked: Poller[Checked, CheckResult]
    described: Poller[Served, ModelSignatures]

    async def checks(self, key: Key, checked: Checked) -> CheckResult | None:
        reading = self.checked.latest(key, checked)
        return reading.answer if reading else None

    async def signatures(self, key: Key, served: Served) -> ModelSignatures | None:
        reading = self.described.latest(key, served)
        return reading.answer if reading else None


@dataclass(frozen=True, slots=True)
class GrpcSignatureReader:
    """Asks one pod for its signatures.

    Attributes:
        deadline: Most seconds for an answer.
    """

    deadline: float = 5.0
    port: int = GRPC_PORT

    async def ask(self, served: Served) -> ModelSignatures:
        """Return what the pod says; never raises for a pod that does not."""
        host = url_host(served.address)
        model = ModelSpec(name=served.model, version=Version(value=served.version))
        request = GetModelMetadataRequest(model_spec=model, metadata_field=[SIGNATURE_FIELD])
        async with grpc.aio.insecure_channel(f"{host}:{self.port}", options=_OPTIONS) as channel:
            call = channel.unary_unary(
                _METADATA,
                request_serializer=GetModelMetadataRequest.SerializeToString,
                response_deserializer=GetModelMetadataResponse.FromString,
            )
            try:
                response = cast(GetModelMetadataResponse, await call(request, timeout=self.deadline))
            except grpc.aio.AioRpcError as error:
                return ModelSignatures(problem=clean(f"{error.code().name}: {error.details()}", 200))
        return answer(response)


@dataclass(slots=True)
class HttpCheckReader:
    """Sends golden requests. Open it with `async with`."""

    port: int = REST_PORT
    timeout: float = _TIMEOUT
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "HttpCheckReader":
        connector = aiohttp.TCPConnector(limit=32, force_close=True)
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, checked: Checked) -> CheckResult:
        """Send the golden requests, one after the other, up to the first that fails."""
        for golden in checked.requests:
            try:
                status, content = await self._predict(checked.served, golden.body)
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                said = clean(str(error) or type(error).__name__, 200)
                return CheckResult(False, answered=False, detail=f"check {golden.name!r}: {said}")
            result = verdict(golden, status, content)
            if not result.passed:
                return result
        return CheckResult(True)

    async def _predict(self, served: Served, body: str) -> tuple[int, bytes]:
        """Return status and content of an answer.

        Raises:
            ValueError: it is larger than an answer may be.
        """
        if self._session is None:
            raise RuntimeError("the reader is not open")
        host = url_host(served.address)
        url = f"http://{host}:{self.port}/v1/models/{served.model}/versions/{served.version}:predict"
        headers = {"Content-Type": "application/json"}
        # A redirect could lead anywhere the operator may go and the pod may not.
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            content = bytearray()
            while chunk := await response.content.read(_MOST_BYTES):
                content += chunk
                if len(content) > _MOST_BYTES:
                    raise ValueError(f"the answer has more than {_MOST_BYTES} bytes")
            return response.status, bytes(content)
