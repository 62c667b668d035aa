"""A TensorFlow Serving client without TensorFlow, for the demo, the tests and the benchmarks.

The REST form is https://www.tensorflow.org/tfx/serving/api_rest; the gRPC form is `PredictionService/Predict`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
import grpc

from trainyard_api.tensorflow_serving_pb2 import ModelSpec, PredictRequest, PredictResponse, Tensor, TensorShape

Row = Mapping[str, float | str]
Prediction = dict[str, float | str]

_FLOAT, _STRING = 1, 7  # TensorFlow's DataType
_TIMEOUT = 10.0


class PredictionFailed(Exception):
    """The server answered with an error, or not at all."""


class Predictor:
    """Asks one model for predictions, by REST and by gRPC.

    Each REST request has a connection of its own: one that is kept stays with its pod for as long as that lives, also
    when the Service sends requests elsewhere by then, and breaks when the pod ends.

    Args:
        host: Address of the Service.
        model: Name of the model.
    """

    def __init__(self, host: str, model: str, *, rest_port: int = 8501, grpc_port: int = 8500) -> None:
        self.url = f"http://{host}:{rest_port}/v1/models/{model}"
        self.grpc_address = f"{host}:{grpc_port}"
        self._model = model
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(_TIMEOUT)
        )
        self._channel = grpc.aio.insecure_channel(self.grpc_address)
        self._predict = self._channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        await self._channel.close()

    async def rest(self, row: Row) -> Prediction:
        """Return the model's outputs for one row.

        Raises:
            PredictionFailed: with the server's own words.
        """
        try:
            async with self._http.post(f"{self.url}:predict", json={"instances": [dict(row)]}) as reply:
                body = await reply.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PredictionFailed(f"{self.url}: {error!r}") from error
        if reply.status != 200:
            raise PredictionFailed(f"{self.url}: {reply.status} {body.get('error', body)}")
        prediction: Prediction = body["predictions"][0]
        return prediction

    async def grpc(self, row: Row) -> tuple[Prediction, int]:
        """Return the model's outputs for one row, and the version that answered.

        Raises:
            PredictionFailed: with the server's own words.
        """
        request = PredictRequest(
            model_spec=ModelSpec(name=self._model), inputs={name: _tensor(value) for name, value in row.items()}
        )
        try:
            reply = await self._predict(request, timeout=_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise PredictionFailed(f"{self.grpc_address}: {error.code().name} {error.details()}") from error
        return {name: _value(tensor) for name, tensor in reply.outputs.items()}, reply.model_spec.version.value


def _tensor(value: float | str) -> Tensor:
    shape = TensorShape(dim=[TensorShape.Dimension(size=1)])
    if isinstance(value, str):
        return Tensor(dtype=_STRING, tensor_shape=shape, string_val=[value.encode()])
    return Tensor(dtype=_FLOAT, tensor_shape=shape, float_val=[value])


def _value(tensor: Tensor) -> float | str:
    if tensor.dtype == _STRING:
        return tensor.string_val[0].decode()
    if tensor.tensor_content:
        return float(struct.unpack_from("<f", tensor.tensor_content)[0])
    return float(tensor.float_val[0])
