"""A client of a model server, on both of its ports."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

GRPC, REST = 8500, 8501
METRICS = "/monitoring/prometheus/metrics"


@dataclass(frozen=True)
class Saved:
    """Where the models are: half_plus_two, identity (as another version of it) and mixed."""

    half_plus_two: Path
    identity: Path
    mixed: Path


class Client:
    """Talks to a server on both ports."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(f"{address}:{GRPC}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self.channel = self._channel

    def close(self) -> None:
        self._channel.close()

    def rest(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of a REST call."""
        connection = http.client.HTTPConnection(self.address, REST, timeout=30)
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, raw, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.read().decode(), dict(response.getheaders())
        finally:
            connection.close()

    def metric(self, line: str) -> int:
        """The value after this name and labels on the metrics page, 0 where it is not there."""
        for each in self.rest("GET", METRICS)[1].splitlines():
            name, _, value = each.rpartition(" ")
            if name == line:
                return int(value)
        return 0

    def predict(self, name: str, signature: str = "", version: int | None = None, **inputs: Any) -> Any:
        """PredictionService/Predict with values as they are."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        for alias, value in inputs.items():
            request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
        return self.prediction.Predict(request, timeout=30)

    def status(self, name: str) -> dict[int, str]:
        """The state of each version."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        states = get_model_status_pb2.ModelVersionStatus.State
        reply = self.model.GetModelStatus(request, timeout=30)
        return {each.version: states.Name(each.state) for each in reply.model_version_status}

    def metadata(self, name: str, *fields: str) -> Any:
        """PredictionService/GetModelMetadata."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        request.model_spec.name = name
        return self.prediction.GetModelMetadata(request, timeout=30)


Serve = Callable[..., Client]
"""Starts a server with the flags it is given and returns a client of it."""
