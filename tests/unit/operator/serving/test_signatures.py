"""Whether what clients send to one version fits another."""

from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
import pytest

from trainyard_api.tensorflow_serving_pb2 import (
    DataType,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from trainyard_operator.serving.model_status_reader import Served
from trainyard_operator.serving.revision_reader import GrpcSignatureReader
from trainyard_operator.serving.signatures import (
    ModelSignature,
    ModelSignatures,
    TensorSpec,
    answer,
    blocker,
    changed,
)

Shape = tuple[int, ...] | None


def a_model(
    inputs: Mapping[str, tuple[str, Shape]] = {"x": ("float", (-1, 4))},
    outputs: Mapping[str, tuple[str, Shape]] = {"y": ("float", (-1, 1))},
    name: str = "serving_default",
) -> ModelSignatures:
    parts = ({key: TensorSpec(*tensor) for key, tensor in part.items()} for part in (inputs, outputs))
    return ModelSignatures({name: ModelSignature(*parts)})


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(a_model(), id="the same"),
        pytest.param(a_model({"x": ("float", (-1, -1))}), id="a wider dimension"),
        pytest.param(a_model({"x": ("float", None)}), id="any shape"),
        pytest.param(a_model(outputs={"y": ("float", (-1, 9))}), id="another shape of an output"),
        pytest.param(a_model(outputs={"y": ("float", (-1, 1)), "z": ("string", (-1,))}), id="one more output"),
        pytest.param(
            ModelSignatures({**a_model().signatures, **a_model(name="other").signatures}), id="one more signature"
        ),
    ],
)
def test_what_takes_the_same_requests_fits(new: ModelSignatures) -> None:
    assert changed(a_model(), new) is None


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (a_model({"x": ("double", (-1, 4))}), "input 'x' was float [-1, 4], and is double [-1, 4]"),
        (a_model({"x": ("float", (-1, 5))}), "input 'x' was float [-1, 4], and is float [-1, 5]"),
        (a_model({"x": ("float", (1, 4))}), "input 'x' was float [-1, 4], and is float [1, 4]"),
        (a_model({"x": ("float", (-1, 4, 1))}), "and is float [-1, 4, 1]"),
        (a_model({"z": ("float", (-1, 4))}), "input 'x' is missing; the inputs are z"),
        (a_model({"x": ("float", (-1, 4)), "z": ("float", (-1,))}), "input 'z' is new, and nobody sends it"),
        (a_model(outputs={"z": ("float", (-1, 1))}), "output 'y' is missing; the outputs are z"),
        (a_model(outputs={"y": ("string", (-1, 1))}), "output 'y' was float [-1, 1], and is string [-1, 1]"),
        (a_model(name="predict"), "signature 'serving_default' is missing; it has predict"),
    ],
)
def test_what_clients_would_stumble_over_is_named(new: ModelSignatures, why: str) -> None:
    assert why in (changed(a_model(), new) or "")


def test_any_shape_cannot_become_some_shape() -> None:
    assert changed(a_model({"x": ("float", None)}), a_model()) is not None


def test_the_blocker_names_both_versions_and_the_way_out() -> None:
    found = blocker(a_model(), a_model({"x": ("string", ())}), old_title="version 1", new_title="version 2")

    assert found is not None
    assert (found.reason, found.transient) == ("SignatureChanged", False)
    assert "clients of version 1, which serves, would fail with version 2" in found.message
    assert "spec.model.allowSignatureChange" in found.message


def test_what_is_not_known_is_waited_for() -> None:
    found = blocker(ModelSignatures(problem="UNAVAILABLE: no"), a_model(), old_title="version 1", new_title="version 2")

    assert found is not None
    assert (found.reason, found.transient) == ("SignatureUnknown", True)
    assert "version 1 are not known: UNAVAILABLE: no" in found.message


def packed(definitions: Any) -> GetModelMetadataResponse:
    value = SignatureDefMap(signature_def=definitions).SerializeToString()
    return GetModelMetadataResponse(metadata={"signature_def": {"value": value}})


DEFINITIONS = {
    "serving_default": {
        "inputs": {"x": {"dtype": DataType.DT_FLOAT, "tensor_shape": {"dim": [{"size": -1}, {"size": 4}]}}},
        "outputs": {"y": {"dtype": DataType.DT_STRING, "tensor_shape": {"unknown_rank": True}}},
    },
    "__saved_model_init_op": {"outputs": {"op": {"dtype": DataType.DT_INVALID}}},
}


async def test_a_pod_is_asked_over_grpc() -> None:
    async def handler(request: GetModelMetadataRequest, _: Any) -> GetModelMetadataResponse:
        assert (request.model_spec.name, request.model_spec.version.value) == ("churn", 7)
        assert list(request.metadata_field) == ["signature_def"]
        return packed(DEFINITIONS)

    method = grpc.unary_unary_rpc_method_handler(
        handler,
        request_deserializer=GetModelMetadataRequest.FromString,
        response_serializer=GetModelMetadataResponse.SerializeToString,
    )
    server = grpc.aio.server()
    service = "tensorflow.serving.PredictionService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"GetModelMetadata": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        found = await GrpcSignatureReader(port=port).ask(Served("127.0.0.1", "churn", 7))
    finally:
        await server.stop(None)

    assert found == a_model(outputs={"y": ("string", None)})


async def test_a_pod_that_does_not_answer_has_a_problem_and_raises_nothing() -> None:
    found = await GrpcSignatureReader(deadline=0.5, port=1).ask(Served("127.0.0.1", "churn", 7))

    assert found.problem
    assert not found.signatures


@pytest.mark.parametrize(
    "response",
    [
        GetModelMetadataResponse(),
        GetModelMetadataResponse(metadata={"signature_def": {"value": b"\xff\xff"}}),
        packed({}),
    ],
)
def test_an_answer_without_signatures_is_a_problem(response: GetModelMetadataResponse) -> None:
    assert answer(response).problem
