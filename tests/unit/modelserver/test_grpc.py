"""The gRPC services over their port."""

from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from support.serving_client import Client, Saved, Serve
from support.serving_models import publish
from trainyard_modelserver.errors import ServingError
from trainyard_modelserver.flags import Options
from trainyard_modelserver.grpc_server import channel_arguments
from trainyard_modelserver.server import Server

MIXED: dict[str, Any] = {
    "colour": np.array([b"red", b"\xff"], object),
    "count": np.array([1, -1], np.int64),
    "flag": np.array([True, False]),
    "size": np.array([[1, 2], [3, 4]], np.float32),
}


@pytest.fixture(scope="module")
def client(serve: Serve, saved: Saved, tmp_path_factory: pytest.TempPathFactory) -> Client:
    folder = tmp_path_factory.mktemp("models")
    publish(saved.mixed, folder / "7")
    return serve(model_name="mixed", model_base_path=str(folder), enable_grpc_healthcheck_service=True)


def failure(call: Any, *args: Any, **kwargs: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(*args, **kwargs)
    error = raised.value
    assert isinstance(error, grpc.Call)
    return error.code(), str(error.details())


def test_predict_returns_every_output_and_what_made_it(client: Client) -> None:
    reply = client.predict("mixed", **MIXED)
    outputs = {name: tf.make_ndarray(tensor).tolist() for name, tensor in reply.outputs.items()}
    assert outputs == {
        "colour_bytes": [b"red", b"\xff"],
        "colour_text": [b"RED", b"\xff"],
        "id": [1, -1],
        "next": [2, 0],
        "no": [False, True],
        "size": [[2, 4], [6, 8]],
    }
    spec = reply.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("mixed", "serving_default", 7)
    # Values in their typed fields, unless a flag says otherwise.
    assert list(reply.outputs["size"].float_val) == [2, 4, 6, 8]


def test_outputs_can_be_chosen(client: Client) -> None:
    request = predict_pb2.PredictRequest(output_filter=["next"])
    request.model_spec.name = "mixed"
    for alias, value in MIXED.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    assert list(client.prediction.Predict(request).outputs) == ["next"]
    request.output_filter.append("next")
    assert failure(client.prediction.Predict, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "duplicate output tensor alias: next",
    )
    request.output_filter[:] = ["none"]
    assert failure(client.prediction.Predict, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "output tensor alias not found in signature: none Outputs expected to be in the set "
        "{colour_bytes,colour_text,id,next,no,size}.",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"name": ""}, grpc.StatusCode.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        ({"name": "none"}, grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(none)"),
        (
            {"name": "mixed", "version": 8},
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Specific(mixed, 8)",
        ),
        (
            {"name": "mixed", "signature": "none"},
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "none" not found.',
        ),
        (
            {"name": "mixed", "signature": "total"},
            grpc.StatusCode.INVALID_ARGUMENT,
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
        ),
        (
            {"name": "mixed", "signature": "total", "x": [1.0], "y": [1.0]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "input size does not match signature: 2!=1 len({x,y}) != len({x}). Sent extra: {y}. "
            "Missing but required: {}.",
        ),
        (
            {"name": "mixed", "signature": "total", "y": [1.0]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "input tensor alias not found in signature: y. Inputs expected to be in the set {x}.",
        ),
        (
            {"name": "mixed", "signature": "total", "x": [1]},
            grpc.StatusCode.INVALID_ARGUMENT,
            "Expects arg[0] to be float but int32 is provided",
        ),
    ],
)
def test_errors_have_their_code_and_words(
    client: Client, arguments: dict[str, Any], code: grpc.StatusCode, message: str
) -> None:
    assert failure(client.predict, **arguments) == (code, message)


def test_a_tensor_that_is_none_is_refused(client: Client) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "mixed", "total"
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.unknown_rank = True
    assert failure(client.prediction.Predict, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "tensor parsing error: x",
    )


def test_every_call_needs_a_model_spec(client: Client) -> None:
    for call, request in (
        (client.prediction.Predict, predict_pb2.PredictRequest()),
        (client.prediction.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest()),
        (client.model.GetModelStatus, get_model_status_pb2.GetModelStatusRequest()),
    ):
        assert failure(call, request) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")


def test_a_long_message_is_cut(client: Client) -> None:
    code, message = failure(client.predict, "x" * 2000)
    assert code is grpc.StatusCode.NOT_FOUND
    assert len(message) == 1024 + len("...TRUNCATED")
    assert message.endswith("xxx...TRUNCATED")


def test_metadata_are_the_signatures(client: Client) -> None:
    reply = client.metadata("mixed", "signature_def")
    assert (reply.model_spec.name, reply.model_spec.version.value) == ("mixed", 7)
    assert not reply.model_spec.signature_name
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(signatures)
    assert sorted(signatures.signature_def) == ["__saved_model_init_op", "half", "serving_default", "slow", "total"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((), "GetModelMetadataRequest must specify at least one metadata_field"),
        (("signature_def", "other"), "Metadata field other is not supported"),
    ],
)
def test_metadata_are_asked_for_by_field(client: Client, fields: tuple[str, ...], message: str) -> None:
    assert failure(client.metadata, "mixed", *fields) == (grpc.StatusCode.INVALID_ARGUMENT, message)


def test_the_status_tells_states(client: Client) -> None:
    assert client.status("mixed") == {7: "AVAILABLE"}
    assert failure(client.status, "none") == (
        grpc.StatusCode.NOT_FOUND,
        "Could not find any versions of model none",
    )


def test_health_is_served_where_it_is_switched_on(client: Client) -> None:
    health = health_pb2_grpc.HealthStub(client.channel)
    for service in ("", "ModelService", "PredictionService"):
        reply = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    request = health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService")
    assert failure(health.Check, request)[0] is grpc.StatusCode.NOT_FOUND


def test_calls_that_are_not_offered_say_so(client: Client) -> None:
    for call, request in (
        (client.prediction.Classify, classification_pb2.ClassificationRequest()),
        (client.prediction.Regress, regression_pb2.RegressionRequest()),
        (client.prediction.MultiInference, inference_pb2.MultiInferenceRequest()),
        (client.model.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()),
    ):
        code, message = failure(call, request)
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert message.endswith(" is not offered by this TensorFlow-Serving-compatible server")


def test_a_flag_turns_replies_into_raw_content_and_health_off(serve: Serve, saved: Saved, tmp_path: Any) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    client = serve(
        model_name="line",
        model_base_path=str(tmp_path),
        enable_serialization_as_tensor_content=True,
        grpc_max_threads=1,
    )
    tensor = client.predict("line", x=[1.0, 2.0]).outputs["y"]
    assert tensor.tensor_content == np.array([2.5, 3.0], np.float32).tobytes()
    health = health_pb2_grpc.HealthStub(client.channel)
    assert failure(health.Check, health_pb2.HealthCheckRequest())[0] is grpc.StatusCode.UNIMPLEMENTED
    # REST is not touched by the flag.
    assert client.rest("POST", "/v1/models/line:predict", {"instances": [1]})[0] == 200


def test_a_unix_socket_serves_too_and_alone(serve: Serve, saved: Saved, tmp_path: Any) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    path = tmp_path / "grpc.sock"
    serve(model_name="line", model_base_path=str(tmp_path), grpc_socket_path=str(path), port=0)
    with grpc.insecure_channel(f"unix:{path}") as channel:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "line"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        reply = predict_pb2.PredictResponse.FromString(call(request.SerializeToString()))
        assert list(reply.outputs["y"].float_val) == [2.5]


def test_a_port_in_use_keeps_the_server_from_starting(client: Client, saved: Saved, tmp_path: Any) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DEVCLUSTER_POD_IP", client.address)
        server = Server(Options(model_name="line", model_base_path=str(tmp_path)))
        try:
            with pytest.raises(ServingError, match=r"^INVALID_ARGUMENT: Failed to BuildAndStart gRPC server$"):
                server.start()
        finally:
            server.stop()


def test_channel_arguments_are_numbers_where_they_look_like_it() -> None:
    assert channel_arguments("") == []
    assert channel_arguments("grpc.max_connection_age_ms=2000,x=y") == [
        ("grpc.max_connection_age_ms", 2000),
        ("x", "y"),
    ]
