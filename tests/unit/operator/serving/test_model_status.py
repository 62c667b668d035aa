"""The question a pod is asked before it gets traffic, over a real gRPC connection."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import trainyard_operator
from trainyard_operator.serving.model_status import Answer, GrpcModelStatus
from trainyard_operator.serving.model_status_pb2 import ModelStatusRequest, ModelStatusResponse, Status, VersionStatus

Handler = Callable[[ModelStatusRequest, Any], Awaitable[ModelStatusResponse]]


@asynccontextmanager
async def a_server(handler: Handler) -> AsyncIterator[int]:
    method = grpc.unary_unary_rpc_method_handler(
        handler,
        request_deserializer=ModelStatusRequest.FromString,
        response_serializer=ModelStatusResponse.SerializeToString,
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


async def ask(handler: Handler, deadline: float = 5.0) -> Answer:
    async with a_server(handler) as port:
        return await GrpcModelStatus(deadline=deadline, port=port).ask("127.0.0.1", "churn", 7)


def saying(state: int, version: int = 7, error: str = "") -> Handler:
    async def handler(request: ModelStatusRequest, _: Any) -> ModelStatusResponse:
        assert (request.model_spec.name, request.model_spec.version.value) == ("churn", 7)
        status = VersionStatus(version=version, state=state, status=Status(error_message=error))  # type: ignore[arg-type]
        return ModelStatusResponse(model_version_status=[status])

    return handler


async def test_a_version_that_is_available_answers() -> None:
    assert await ask(saying(VersionStatus.AVAILABLE)) == Answer(True)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (saying(VersionStatus.LOADING), "version 7 is LOADING"),
        (saying(VersionStatus.END, error="no such op"), "version 7 is END no such op"),
        (saying(VersionStatus.AVAILABLE, version=6), "it knows nothing of version 7"),
    ],
)
async def test_anything_else_does_not(handler: Handler, said: str) -> None:
    assert await ask(handler) == Answer(False, said)


async def test_an_error_is_an_answer() -> None:
    async def handler(_: ModelStatusRequest, context: Any) -> ModelStatusResponse:
        await context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model churn")
        raise AssertionError

    assert await ask(handler) == Answer(False, "NOT_FOUND: Could not find any versions of model churn")


async def test_a_pod_that_hangs_is_given_up_on() -> None:
    async def handler(_: ModelStatusRequest, __: Any) -> ModelStatusResponse:
        await asyncio.Event().wait()
        raise AssertionError

    answer = await ask(handler, deadline=0.1)

    assert not answer.available
    assert answer.detail.startswith("DEADLINE_EXCEEDED")


async def test_a_pod_that_does_not_listen_is_no_error() -> None:
    async with a_server(saying(VersionStatus.AVAILABLE)) as port:
        pass

    answer = await GrpcModelStatus(port=port).ask("127.0.0.1", "churn", 7)

    assert answer.detail.startswith("UNAVAILABLE")


def test_the_generated_module_is_that_of_the_proto_file(tmp_path: Path) -> None:
    root = Path(trainyard_operator.__file__).parents[1]
    proto = Path("trainyard_operator/serving/model_status.proto")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"--python_out={tmp_path}", str(root / proto)]

    subprocess.run(command, check=True)

    generated = proto.with_name("model_status_pb2.py")
    assert (tmp_path / generated).read_text() == (root / generated).read_text(), "run `make protos`"
