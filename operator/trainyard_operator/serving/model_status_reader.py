"""Asks a TensorFlow Serving process whether it has a model version: `ModelService/GetModelStatus`.

By gRPC, because every REST call counts as a request of the model in TensorFlow Serving's metrics, and because the REST
form answers 200 whatever the state is.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import grpc
import grpc.aio

from trainyard_api.names import GRPC_PORT
from trainyard_api.tensorflow_serving_pb2 import GetModelStatusRequest, GetModelStatusResponse, ModelSpec, Version
from trainyard_operator.serving.model_status import Answer, answer
from trainyard_operator.workloads.text import clean

_METHOD = "/tensorflow.serving.ModelService/GetModelStatus"
# A proxy named in the environment is for the way out of the cluster, not to its pods.
_OPTIONS = (("grpc.enable_http_proxy", 0),)


class ModelStatusReader(Protocol):
    """Asks pods for the state of a model version."""

    async def ask(self, address: str, model: str, version: int) -> Answer:
        """Return what the pod at this IP address says; never raises for a pod that does not."""
        ...


@dataclass(frozen=True, slots=True)
class GrpcModelStatusReader:
    """Implements `ModelStatusReader`.

    Attributes:
        deadline: Most seconds for an answer.
    """

    deadline: float = 2.0
    port: int = GRPC_PORT

    async def ask(self, address: str, model: str, version: int) -> Answer:
        """See `ModelStatusReader.ask`."""
        host = f"[{address}]" if ":" in address else address
        request = GetModelStatusRequest(model_spec=ModelSpec(name=model, version=Version(value=version)))
        async with grpc.aio.insecure_channel(f"{host}:{self.port}", options=_OPTIONS) as channel:
            call = channel.unary_unary(
                _METHOD,
                request_serializer=GetModelStatusRequest.SerializeToString,
                response_deserializer=GetModelStatusResponse.FromString,
            )
            try:
                response = cast(GetModelStatusResponse, await call(request, timeout=self.deadline))
            except grpc.aio.AioRpcError as error:
                return Answer(False, clean(f"{error.code().name}: {error.details()}", 300))
        return answer(response, version)
