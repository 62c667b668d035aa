"""The gRPC port: PredictionService, ModelService and, on demand, the health service."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from .errors import Code, ServingError, invalid_argument
from .flags import Options
from .messages import Messages
from .metrics import Metrics

PREDICTION: Final = "tensorflow.serving.PredictionService"
MODEL: Final = "tensorflow.serving.ModelService"
_MAX_MESSAGE_TEXT: Final = 1024
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
# Calls that exist but are not offered here: refused by name, for an unknown method says nothing.
_REFUSED: Final = {PREDICTION: ("Classify", "Regress", "MultiInference"), MODEL: ("HandleReloadConfigRequest",)}

Call = Callable[[Any], Any]


class GrpcServer:
    """A synchronous server with a pool of threads (an asyncio one does a third less in the same time)."""

    def __init__(self, options: Options, messages: Messages, metrics: Metrics, threads: int) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                # Two servers on one port would share its requests at random.
                ("grpc.so_reuseport", 0),
                *channel_arguments(options.grpc_channel_arguments),
            ],
        )
        for service, methods in _methods(messages, metrics).items():
            handlers = {**methods, **{name: _refusal(name) for name in _REFUSED[service]}}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        if options.enable_grpc_healthcheck_service:
            self._add_health()

    def start(self, addresses: Sequence[str]) -> list[int]:
        """Listen on the addresses; returns their ports. Raises ServingError where one is taken."""
        ports = []
        for address in addresses:
            try:
                ports.append(self._server.add_insecure_port(address))
            except RuntimeError as error:
                raise invalid_argument("Failed to BuildAndStart gRPC server") from error
        self._server.start()
        return ports

    def stop(self) -> None:
        """End; for tests."""
        self._server.stop(grace=None).wait()

    def _add_health(self) -> None:
        """Set once, when the models are there: it does not follow them later, as in the original."""
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc

        servicer = health.HealthServicer()
        for service in ("", MODEL.rsplit(".", 1)[-1], PREDICTION.rsplit(".", 1)[-1]):
            servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)


def channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """The flag's comma list of k=v; whole numbers go as numbers."""
    arguments: list[tuple[str, int | str]] = []
    for argument in filter(None, text.split(",")):
        name, _, value = argument.partition("=")
        arguments.append((name, int(value) if value.lstrip("+-").isdecimal() else value))
    return arguments


def _methods(messages: Messages, metrics: Metrics) -> dict[str, dict[str, Any]]:
    metadata, status = get_model_metadata_pb2, get_model_status_pb2
    return {
        PREDICTION: {
            "Predict": _method(_measured(messages.predict, metrics), predict_pb2.PredictRequest),
            "GetModelMetadata": _method(_call(messages.metadata), metadata.GetModelMetadataRequest),
        },
        MODEL: {"GetModelStatus": _method(_call(messages.status), status.GetModelStatusRequest)},
    }


def _method(call: Callable[[Any, Any], Any], request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(call, request.FromString, lambda reply: reply.SerializeToString())


def _call(call: Call) -> Callable[[Any, Any], Any]:
    def handle(request: Any, context: Any) -> Any:
        try:
            return call(request)
        except ServingError as error:
            _abort(context, error)

    return handle


def _measured(call: Call, metrics: Metrics) -> Callable[[Any, Any], Any]:
    def handle(request: Any, context: Any) -> Any:
        started = time.perf_counter_ns()
        name = request.model_spec.name
        try:
            reply = call(request)
        except ServingError as error:
            metrics.request_count.add(name, error.code.name)
            _abort(context, error)
        spent = (time.perf_counter_ns() - started) // 1000
        metrics.request_latency.add(spent, name, "Predict", "GRPC")
        metrics.request_count.add(name, Code.OK.name)
        return reply

    return handle


def _refusal(name: str) -> Any:
    def refuse(request: Any, context: Any) -> Any:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED, f"{name} is not offered by this TensorFlow-Serving-compatible server"
        )

    return grpc.unary_unary_rpc_method_handler(refuse)


def _abort(context: Any, error: ServingError) -> None:
    text = error.message
    if len(text) > _MAX_MESSAGE_TEXT:
        text = text[:_MAX_MESSAGE_TEXT] + "...TRUNCATED"
    context.abort(_CODES[error.code], text)


def listen_addresses(options: Options) -> list[str]:
    """Where gRPC listens: all IPv4 addresses (or the pod's own), and the unix socket."""
    host = os.environ.get("DEVCLUSTER_POD_IP") or "0.0.0.0"  # noqa: S104
    addresses = [f"{host}:{options.port}"] if options.port else []
    return addresses + ([f"unix:{options.grpc_socket_path}"] if options.grpc_socket_path else [])
