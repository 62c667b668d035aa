"""Asks a pod of a new revision before it gets any traffic: golden requests by REST, its signatures by gRPC.

Golden requests are what clients send, and they count in TensorFlow Serving's metrics as those do. So they are sent only
while a revision is new.
"""

from dataclasses import dataclass
from typing import Protocol

import grpc.aio

from trainyard_api.names import GRPC_PORT, REST_PORT
from trainyard_api.tensorflow_serving_pb2 import GetModelMetadataRequest, GetModelMetadataResponse, ModelSpec, Version
from trainyard_operator.runtime.pod_client import PodError, PodHttp, call
from trainyard_operator.runtime.poller import Poller
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.serving.checks import CheckResult, GoldenRequest, verdict
from trainyard_operator.serving.model_status_reader import Served
from trainyard_operator.serving.signatures import SIGNATURE_FIELD, ModelSignatures, answer
from trainyard_operator.workloads.text import clean

_MOST_BYTES = 2**20
_TIMEOUT = 10.0
_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"


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
        model = ModelSpec(name=served.model, version=Version(value=served.version))
        request = GetModelMetadataRequest(model_spec=model, metadata_field=[SIGNATURE_FIELD])
        try:
            response = await call(
                served.address,
                self.port,
                _METADATA,
                request,
                GetModelMetadataResponse,
                most_bytes=_MOST_BYTES,
                deadline=self.deadline,
            )
        except grpc.aio.AioRpcError as error:
            return ModelSignatures(problem=clean(f"{error.code().name}: {error.details()}", 200))
        return answer(response)


@dataclass(frozen=True, slots=True)
class HttpCheckReader:
    """Sends golden requests."""

    http: PodHttp
    port: int = REST_PORT
    deadline: float = _TIMEOUT

    async def ask(self, checked: Checked) -> CheckResult:
        """Send the golden requests, one after the other, up to the first that fails."""
        served = checked.served
        path = f"/v1/models/{served.model}/versions/{served.version}:predict"
        for golden in checked.requests:
            try:
                answer = await self.http.ask(
                    served.address, self.port, path, json=golden.body, most_bytes=_MOST_BYTES, deadline=self.deadline
                )
            except PodError as error:
                return CheckResult(False, answered=False, detail=f"check {golden.name!r}: {clean(str(error), 200)}")
            result = verdict(golden, answer.status, answer.content)
            if not result.passed:
                return result
        return CheckResult(True)
