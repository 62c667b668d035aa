"""The REST API over its port."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from support.serving_client import METRICS, Client, Saved, Serve
from support.serving_models import publish


@pytest.fixture(scope="module")
def client(serve: Serve, saved: Saved, monitoring: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A server with half_plus_two (versions 1 and 2, the latter being the identity) and mixed (version 7)."""
    folder = tmp_path_factory.mktemp("models")
    publish(saved.half_plus_two, folder / "line" / "1")
    publish(saved.identity, folder / "line" / "2")
    publish(saved.mixed, folder / "mixed" / "7")
    config = folder / "config"
    config.write_text(
        "model_config_list {"
        f' config {{ name: "line" base_path: "{folder}/line" model_platform: "tensorflow"'
        ' model_version_policy { all {} } version_labels { key: "stable" value: 1 } }'
        f' config {{ name: "mixed" base_path: "{folder}/mixed" model_platform: "tensorflow" }}'
        "}"
    )
    return serve(
        model_config_file=str(config),
        monitoring_config_file=monitoring,
        allow_version_labels_for_unavailable_models=True,
        rest_api_timeout_in_ms=2000,
    )


def error(message: str) -> str:
    return json.dumps({"error": message}, indent=4, ensure_ascii=False)


@pytest.mark.parametrize(
    ("path", "body", "reply"),
    [
        (
            "/v1/models/line:predict",
            {"instances": [1.0, 2.0, 5.0]},
            '{\n    "predictions": [1.0, 2.0, 5.0\n    ]\n}',
        ),
        (
            "/v1/models/line/versions/1:predict",
            {"instances": [1.0, 2.0, 5.0]},
            '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}',
        ),
        (
            "/v1/models/line/labels/stable:predict",
            {"inputs": {"x": [1]}},
            '{\n    "outputs": [\n        2.5\n    ]\n}',
        ),
        (
            "/V1/MODELS/li%6Ee:predict",
            {"signature_name": "serving_default", "inputs": [[1.0, 2.0], [3.0, 4.0]]},
            '{\n    "outputs": [\n        [\n            1.0,\n            2.0\n        ],\n        [\n'
            "            3.0,\n            4.0\n        ]\n    ]\n}",
        ),
        (
            "/v1/models/mixed:predict",
            {"instances": [{"colour": "green", "count": 2**62, "flag": True, "size": [0.1, 1e10]}]},
            '{\n    "predictions": [\n        {\n            "colour_bytes": {\n                "b64": "Z3JlZW4="\n'
            '            },\n            "colour_text": "GREEN",\n            "id": 2,\n'
            '            "next": 4611686018427387905,\n            "no": false,\n            "size": [0.2, 2e+10]\n'
            "        }\n    ]\n}",
        ),
        ("/v1/models/mixed:predict", {"signature_name": "total", "inputs": [1, 2]}, '{\n    "outputs": 3.0\n}'),
    ],
)
def test_predictions_come_in_the_format_of_the_request(client: Client, path: str, body: Any, reply: str) -> None:
    status, text, headers = client.rest("POST", path, body)
    assert (status, text) == (200, reply)
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/v1/models", None, 400, "Missing model name in request."),
        ("GET", "/v1/models/", None, 400, "Malformed request: GET /v1/models/"),
        ("GET", "/v1/models/none", None, 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/line/versions/9", None, 404, "Could not find version 9 of model line"),
        ("GET", "/v1/models/none/metadata", None, 404, "Servable not found for request: Latest(none)"),
        ("GET", "/v1/models/line/labels/x/metadata", None, 400, "Unrecognized servable version label: x"),
        ("POST", "/v1/models/none:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(none)"),
        (
            "POST",
            "/v1/models/line/versions/9:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(line, 9)",
        ),
        ("POST", "/v1/models/line/labels/x:predict", {}, 400, "Unrecognized servable version label: x"),
        (
            "POST",
            "/v1/models/line/versions/99999999999999999999:predict",
            {},
            400,
            "Failed to convert version: 99999999999999999999 to numeric.",
        ),
        ("POST", "/v1/models/line:Predict", {"instances": [1]}, 400, "Malformed request: POST /v1/models/line:Predict"),
        ("POST", "/v1/models/line", {"instances": [1]}, 400, "Malformed request: POST /v1/models/line"),
        ("OPTIONS", "/v1/models/line", None, 400, "Malformed request: OPTIONS /v1/models/line"),
        ("POST", "/v1/models/line:predict", b"", 400, "JSON Parse error: The document is empty"),
        (
            "POST",
            "/v1/models/line:predict",
            b"{",
            400,
            "JSON Parse error: Missing a name for object member. at offset: 1",
        ),
        (
            "POST",
            "/v1/models/line:predict",
            {"instances": ["x"]},
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\" Type: String "
            "is not of expected type: float",
        ),
        (
            "POST",
            "/v1/models/line:predict",
            {"signature_name": "none", "instances": [1]},
            400,
            'Serving signature name: "none" not found in signature def',
        ),
        (
            "POST",
            "/v1/models/mixed:predict",
            {"signature_name": "total", "instances": [1]},
            400,
            "Tensor name: total has no shape information ",
        ),
        (
            "POST",
            "/v1/models/mixed:predict",
            {"signature_name": "half", "inputs": [1]},
            501,
            "Conversion of JSON Value: 1 to type: half",
        ),
        (
            "POST",
            "/v1/models/line:classify",
            {"examples": [{}]},
            501,
            "classify is not offered by this TensorFlow-Serving-compatible server",
        ),
    ],
)
def test_errors_have_their_code_and_words(
    client: Client, method: str, path: str, body: Any, status: int, message: str
) -> None:
    assert client.rest(method, path, body)[:2] == (status, error(message))


def test_a_computation_that_takes_too_long_is_a_504(client: Client) -> None:
    body = {"signature_name": "slow", "inputs": [2**60]}
    status, text, _ = client.rest("POST", "/v1/models/mixed:predict", body)
    assert status == 504
    assert json.loads(text)["error"].startswith("Timed out waiting for notification")


def test_what_the_model_itself_refuses_is_its_own_error(client: Client) -> None:
    body = {"inputs": {"colour": ["red"], "count": [1], "flag": [True], "size": [[1, 2]]}}
    assert client.rest("POST", "/v1/models/mixed:predict", body)[0] == 200
    body["inputs"]["count"] = [[1], [2]]
    assert client.rest("POST", "/v1/models/mixed:predict", body)[0] == 200, "static shapes are not checked"


def test_outside_of_the_api_nothing_is_found(client: Client) -> None:
    for path in ("/", "/v1", "/v2/models/line", "/metrics"):
        status, text, headers = client.rest("GET", path)
        assert (status, headers["Content-Type"]) == (404, "text/html")
        assert text == "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"


def test_a_request_may_be_compressed(client: Client) -> None:
    body = gzip.compress(b'{"instances": [1.0]}')
    path = "/v1/models/line:predict"
    assert client.rest("POST", path, body, content_encoding="gzip")[0] == 200
    status, text, _ = client.rest("POST", path, b"no gzip", content_encoding="gzip")
    assert (status, text) == (400, error("JSON Parse error: The document is empty"))


def test_the_status_lists_versions_from_the_highest_with_names_and_defaults(client: Client) -> None:
    status, text, headers = client.rest("GET", "/v1/models/line")
    assert (status, headers["Content-Type"]) == (200, "application/json")

    def version(number: str) -> dict[str, Any]:
        return {"version": number, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}

    assert text == json.dumps({"model_version_status": [version("2"), version("1")]}, indent=1) + "\n"
    # A label counts for nothing here.
    assert client.rest("GET", "/v1/models/line/labels/stable")[1] == text
    assert json.loads(client.rest("GET", "/v1/models/line/versions/1")[1]) == {"model_version_status": [version("1")]}


def test_the_metadata_are_the_signatures(client: Client) -> None:
    status, text, _ = client.rest("GET", "/v1/models/line/versions/1/metadata")
    assert status == 200
    assert text.startswith('{\n"model_spec":{\n "')
    metadata = json.loads(text)
    assert metadata["model_spec"] == {"name": "line", "signature_name": "", "version": "1"}
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == ["__saved_model_init_op", "serving_default"]
    default = signatures["serving_default"]
    assert default["method_name"] == "tensorflow/serving/predict"
    assert default["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert default["inputs"]["x"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}],
        "unknown_rank": False,
    }


def count(status: str, model: str = "line") -> str:
    return f':tensorflow:serving:request_count{{model_name="{model}",status="{status}"}}'


def latency(api: str, entrypoint: str = "REST") -> str:
    return f':tensorflow:serving:request_latency_count{{model_name="line",API="{api}",entrypoint="{entrypoint}"}}'


@pytest.mark.parametrize(
    ("method", "path", "body", "counted", "measured"),
    [
        ("POST", "/v1/models/line:predict", {"instances": [1]}, count("OK"), latency("predict")),
        # Probes count, too, and are measured without a name: that is how the original is.
        ("GET", "/v1/models/line", None, count("OK"), latency("")),
        ("GET", "/v1/models/line/metadata", None, count("OK"), latency("")),
        ("POST", "/v1/models/line:predict", {}, count("INVALID_ARGUMENT"), None),
        ("POST", "/v1/models/none:predict", {}, count("NOT_FOUND", "none"), None),
        ("GET", "/v1/nonsense", None, count("INVALID_ARGUMENT", ""), None),
    ],
)
def test_every_call_is_counted_and_successes_are_measured(
    client: Client, method: str, path: str, body: Any, counted: str, measured: str | None
) -> None:
    names = [counted, latency("predict"), latency("")]
    before = [client.metric(name) for name in names]
    client.rest(method, path, body)
    after = [client.metric(name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, *(int(name == measured) for name in names[1:])]


def test_grpc_is_measured_under_its_own_names(client: Client) -> None:
    runtime = ':tensorflow:serving:runtime_latency_count{model_name="line",API="Predict",runtime="TF1"}'
    names = [count("OK"), latency("Predict", "GRPC"), runtime]
    before = [client.metric(name) for name in names]
    client.predict("line", x=[1.0])
    client.status("line")
    client.metadata("line", "signature_def")
    assert [client.metric(name) for name in names] == [value + 1 for value in before]


def test_the_metrics_page_is_plain_text_at_its_path_alone(client: Client) -> None:
    status, text, headers = client.rest("GET", METRICS)
    assert (status, headers["Content-Type"]) == (200, "text/plain")
    assert text.endswith("\n")
    assert "# HELP" not in text
    status, text, headers = client.rest("GET", f"{METRICS}?x=1")
    assert (status, text) == (400, f"Unexpected path: {METRICS}?x=1. Should be {METRICS}")


def test_loads_are_counted_by_path(client: Client) -> None:
    lines = client.rest("GET", METRICS)[1].splitlines()
    loads = [line for line in lines if line.startswith(":tensorflow:cc:saved_model:load_attempt_count{")]
    assert len(loads) == 3
    assert all(line.endswith('",status="success"} 1') for line in loads)


def test_without_a_monitoring_file_there_is_no_page(serve: Serve, saved: Saved, tmp_path: Path) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    client = serve(model_name="line", model_base_path=str(tmp_path), rest_api_enable_cors_support=True)
    assert client.rest("GET", METRICS)[0] == 404
    status, text, headers = client.rest("OPTIONS", "/v1/models/line:predict")
    assert (status, text) == (200, "")
    cors = {name: value for name, value in headers.items() if name.startswith("Access-Control-")}
    assert cors == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, GET",
        "Access-Control-Allow-Headers": "Content-Type",
    }
    assert client.rest("GET", "/v1/models/line")[2]["Access-Control-Allow-Origin"] == "*"
