"""The question a pod is asked before it gets traffic, over a real gRPC connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from trainyard_api.tensorflow_serving_pb2 import (
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelVersionStatus,
    Status,
)
from trainyard_operator.serving.model_status import ModelReadiness
from trainyard_operator.serving.model_status_reader import GrpcModelStatusReader, Served

Handler = Callable[[GetModelStatusRequest, Any], Awaitable[GetModelStatusResponse]]


@asynccontextmanager
async def a_server(handler: Handler) -> AsyncIterator[int]:
    method = grpc.unary_unary_rpc_method_handler(
        handler,
        request_deserializer=GetModelStatusRequest.FromString,
        response_serializer=GetModelStatusResponse.SerializeToString,
    )
    server = grpc.aio.server()
    service = "tensorflow.serving.ModelService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"GetModelStatus": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def ask(handler: Handler, deadline: float = 5.0) -> ModelReadiness:
    async with a_server(handler) as port:
        return await GrpcModelStatusReader(deadline=deadline, port=port).ask(Served("127.0.0.1", "churn", 7))


def saying(state: int, version: int = 7, error: str = "") -> Handler:
    async def handler(request: GetModelStatusRequest, _: Any) -> GetModelStatusResponse:
        assert (request.model_spec.name, request.model_spec.version.value) == ("churn", 7)
        status = ModelVersionStatus(version=version, state=state, status=Status(error_message=error))  # type: ignore[arg-type]
        return GetModelStatusResponse(model_version_status=[status])

    return handler


async def test_a_version_that_is_available_answers() -> None:
    assert await ask(saying(ModelVersionStatus.AVAILABLE)) == ModelReadiness(True)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (saying(ModelVersionStatus.LOADING), "version 7 is LOADING"),
        (saying(ModelVersionStatus.END, error="no such op"), "version 7 is END no such op"),
        (saying(ModelVersionStatus.AVAILABLE, version=6), "it knows nothing of version 7"),
    ],
)
async def test_anything_else_does_not(handler: Handler, said: str) -> None:
    assert await ask(handler) == ModelReadiness(False, said)


async def test_an_error_is_an_answer() -> None:
    async def handler(_: GetModelStatusRequest, context: Any) -> GetModelStatusResponse:
        await context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model churn")
        raise AssertionError

    answer = await ask(handler)

    assert answer == ModelReadiness(False, "NOT_FOUND: Could not find any versions of model churn")
    assert answer.lost


async def test_a_pod_that_hangs_is_given_up_on() -> None:
    async def handler(_: GetModelStatusRequest, __: Any) -> GetModelStatusResponse:
        await asyncio.Event().wait()
        raise AssertionError

    answer = await ask(handler, deadline=0.1)

    assert not answer.available
    assert answer.detail.startswith("DEADLINE_EXCEEDED")
    assert not answer.lost


async def test_a_pod_that_does_not_listen_is_no_error() -> None:
    async with a_server(saying(ModelVersionStatus.AVAILABLE)) as port:
        pass

    answer = await GrpcModelStatusReader(port=port).ask(Served("127.0.0.1", "churn", 7))

    assert answer.detail.startswith("UNAVAILABLE")
