"""Asks a TensorFlow Serving process whether it has a model version: `ModelService/GetModelStatus`.

By gRPC, because every REST call counts as a request of the model in TensorFlow Serving's metrics, and because the REST
form answers 200 whatever the state is.
"""

from dataclasses import dataclass
from typing import Protocol

import grpc
import grpc.aio

from trainyard_api.names import GRPC_PORT
from trainyard_api.tensorflow_serving_pb2 import GetModelStatusRequest, GetModelStatusResponse, ModelSpec, Version
from trainyard_operator.runtime.pod_client import call
from trainyard_operator.runtime.poller import Poller
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.serving.model_status import ModelReadiness, answer
from trainyard_operator.workloads.text import clean

_UNREACHED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_METHOD = "/tensorflow.serving.ModelService/GetModelStatus"
_MOST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Served:
    """A model version that a pod shall serve.

    Attributes:
        address: The pod's IP address.
    """

    address: str
    model: str
    version: int


class ModelStatusSource(Protocol):
    """Knows what pods say of their models."""

    async def latest(self, key: Key, served: Served) -> ModelReadiness | None:
        """Return what the pod said last, at once; None where it was not asked yet."""
        ...


@dataclass(frozen=True, slots=True)
class PolledModelStatus:
    """Implements `ModelStatusSource`: pods are asked in the background."""

    poller: Poller[Served, ModelReadiness]

    async def latest(self, key: Key, served: Served) -> ModelReadiness | None:
        reading = self.poller.latest(key, served)
        return reading.answer if reading else None


@dataclass(frozen=True, slots=True)
class GrpcModelStatusReader:
    """Asks one pod.

    Attributes:
        deadline: Most seconds for an answer.
    """

    deadline: float = 2.0
    port: int = GRPC_PORT

    async def ask(self, served: Served) -> ModelReadiness:
        """Return what the pod says; never raises for a pod that does not."""
        model = ModelSpec(name=served.model, version=Version(value=served.version))
        request = GetModelStatusRequest(model_spec=model)
        try:
            response = await call(
                served.address,
                self.port,
                _METHOD,
                request,
                GetModelStatusResponse,
                most_bytes=_MOST_BYTES,
                deadline=self.deadline,
            )
        except grpc.aio.AioRpcError as error:
            said = clean(f"{error.code().name}: {error.details()}", 200)
            if error.code() not in _UNREACHED:
                return ModelReadiness(False, said)
            return ModelReadiness(
                False,
                f"{said}; port {self.port} of {served.address} does not answer the operator: if its server is well, "
                "a NetworkPolicy or a mesh is in the way, and must let the operator's namespace in",
                reached=False,
            )
        return answer(response, served.version)
