"""Versions that come, go and fail while the server is at work."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from support.serving_client import METRICS, Client, Saved, Serve
from support.serving_models import publish
from trainyard_modelserver.errors import ServingError
from trainyard_modelserver.warmup import FILE


def eventually(holds: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def value(client: Client, name: str = "line") -> float:
    return float(client.predict(name, x=[10.0]).outputs["y"].float_val[0])


@contextmanager
def traffic(client: Client) -> Iterator[list[float | str]]:
    """Clients of both protocols that do not retry; yields what they get, errors as text."""
    seen: list[float | str] = []
    done = threading.Event()

    def send(call: Callable[[], float]) -> None:
        while not done.is_set():
            try:
                seen.append(call())
            except (grpc.RpcError, OSError, AssertionError) as error:
                seen.append(repr(error))

    def rest() -> float:
        status, text, _ = client.rest("POST", "/v1/models/line:predict", {"instances": [10.0]})
        assert status == 200, text
        return float(json.loads(text)["predictions"][0])

    threads = [threading.Thread(target=send, args=(call,)) for call in (lambda: value(client), rest)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_new_version_takes_over_without_a_failed_request(serve: Serve, saved: Saved, tmp_path: Path) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    client = serve(model_name="line", model_base_path=str(tmp_path), num_load_threads=2)
    with traffic(client) as seen:
        eventually(lambda: len(seen) > 20)
        publish(saved.identity, tmp_path / "2")
        eventually(lambda: client.status("line") == {2: "AVAILABLE", 1: "END"})
        count = len(seen)
        eventually(lambda: len(seen) > count + 20)
    assert set(seen) == {7.0, 10.0}
    assert set(seen[-4:]) == {10.0}


def test_a_broken_version_leaves_the_old_one_serving_and_tells_why(serve: Serve, saved: Saved, tmp_path: Path) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    client = serve(
        model_name="line", model_base_path=str(tmp_path), max_num_load_retries=1, load_retry_interval_micros=1000
    )
    (tmp_path / "2").mkdir()
    eventually(lambda: client.status("line") == {2: "END", 1: "AVAILABLE"})
    assert value(client) == 7.0
    (broken, _) = json.loads(client.rest("GET", "/v1/models/line")[1])["model_version_status"]
    assert broken == {
        "version": "2",
        "state": "END",
        "status": {
            "error_code": "NOT_FOUND",
            "error_message": "Could not find SavedModel .pb or .pbtxt at supplied export directory path: "
            f"{tmp_path}/2. Check that the directory exists and that you have the right permissions for accessing it.",
        },
    }
    # It is not tried again until it has gone and come back.
    shutil.copytree(saved.identity, tmp_path / "2", dirs_exist_ok=True)
    (tmp_path / "2").rename(tmp_path / "later")
    publish(saved.half_plus_two, tmp_path / "3")
    eventually(lambda: client.status("line") == {3: "AVAILABLE", 2: "END", 1: "END"})
    shutil.rmtree(tmp_path / "3")
    (tmp_path / "later").rename(tmp_path / "2")
    eventually(lambda: client.status("line")[2] == "AVAILABLE")
    assert value(client) == 10.0


def test_an_empty_base_path_unloads_and_a_missing_one_does_not(
    serve: Serve, saved: Saved, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = tmp_path / "line"
    publish(saved.half_plus_two, base / "1")
    client = serve(model_name="line", model_base_path=str(base))
    base.rename(tmp_path / "away")
    publish(saved.identity, tmp_path / "away" / "2")
    missing = f"filesystem access error: Could not find base path {base} for servable line with error NOT_FOUND"
    eventually(lambda: caplog.text.count(missing) >= 2)
    assert client.status("line") == {1: "AVAILABLE"}
    (tmp_path / "away").rename(base)
    eventually(lambda: client.status("line") == {2: "AVAILABLE", 1: "END"})
    for version in base.iterdir():
        shutil.rmtree(version)
    eventually(lambda: client.status("line") == {2: "END", 1: "END"})
    with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Latest\(line\)"):
        value(client)


def configuration(folder: Path, *models: str, policy: str = "", labels: str = "") -> str:
    return (
        "model_config_list {"
        + "".join(
            f'config {{ name: "{name}" base_path: "{folder}/{name}" model_platform: "tensorflow" {policy} {labels} }}'
            for name in models
        )
        + "}"
    )


def test_the_configuration_file_is_applied_anew(
    serve: Serve, saved: Saved, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("line", "other"):
        publish(saved.half_plus_two, tmp_path / name / "1")
    publish(saved.identity, tmp_path / "line" / "2")
    file = tmp_path / "config"
    file.write_text(configuration(tmp_path, "line"))
    client = serve(model_config_file=str(file), model_config_file_poll_wait_seconds=1)
    assert value(client) == 10.0
    # What is malformed or refused changes nothing.
    file.write_text("nonsense")
    eventually(lambda: "failed to ReloadConfig: Invalid protobuf file" in caplog.text)
    both = "model_version_policy { specific { versions: 1 versions: 2 } }"
    file.write_text(configuration(tmp_path, "line", policy=both))
    eventually(lambda: client.status("line") == {2: "AVAILABLE", 1: "AVAILABLE"})
    label = 'version_labels { key: "stable" value: 1 }'
    file.write_text(configuration(tmp_path, "line", policy=both, labels=label))
    path = "/v1/models/line/labels/stable:predict"
    eventually(lambda: client.rest("POST", path, {"instances": [10.0]})[0] == 200)
    assert json.loads(client.rest("POST", path, {"instances": [10.0]})[1]) == {"predictions": [7.0]}
    # A model that is left out goes, a new one comes; and one that has gone can come back.
    file.write_text(configuration(tmp_path, "other"))
    eventually(lambda: client.status("line") == {2: "END", 1: "END"})
    eventually(lambda: client.rest("GET", "/v1/models/other")[0] == 200)
    eventually(lambda: client.status("other") == {1: "AVAILABLE"})
    assert value(client, "other") == 7.0
    file.write_text(configuration(tmp_path, "line", "other"))
    eventually(lambda: client.status("line")[2] == "AVAILABLE")


@pytest.mark.parametrize("text", ["", "model_config_list {}"])
def test_an_empty_configuration_opens_the_ports(serve: Serve, tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    client = serve(model_config_file=str(file))
    assert client.rest("GET", "/v1/models/x")[0] == 404


def test_labels_cannot_be_set_before_their_version_serves(serve: Serve, saved: Saved, tmp_path: Path) -> None:
    publish(saved.half_plus_two, tmp_path / "line" / "1")
    file = tmp_path / "config"
    file.write_text(configuration(tmp_path, "line", labels='version_labels { key: "stable" value: 1 }'))
    with pytest.raises(ServingError, match=r"^FAILED_PRECONDITION: Request to assign label to version 1 of model line"):
        serve(model_config_file=str(file))


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({}, "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are empty!"),
        ({"model_base_path": "m"}, "INVALID_ARGUMENT: Expected model default to have an absolute path or URI"),
        ({"model_base_path": "/m", "batching_parameters_file": "/f"}, "INVALID_ARGUMENT: server_options.batching"),
        ({"model_base_path": "/m", "ssl_config_file": "/f"}, "UNIMPLEMENTED: --ssl_config_file is not offered"),
        (
            {
                "model_base_path": "/m",
                "tensorflow_session_parallelism": 1,
                "tensorflow_intra_op_parallelism": 1,
                "tensorflow_inter_op_parallelism": 1,
            },
            "INVALID_ARGUMENT: Either configure server_options.tensorflow_session_parallelism",
        ),
    ],
)
def test_flags_that_cannot_be_are_refused(serve: Serve, flags: dict[str, Any], error: str) -> None:
    with pytest.raises(ServingError, match=f"^{error}"):
        serve(**flags)


def record(x: list[float] | None = None, kind: str = "predict_log") -> bytes:
    log = prediction_log_pb2.PredictionLog()
    getattr(log, kind).request.model_spec.name = "line"
    if x is not None:
        log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(x))
    return bytes(log.SerializeToString())


def warmed(saved: Path, target: Path, *records: bytes) -> None:
    publish(saved, target)
    (target / FILE).parent.mkdir()
    with tf.io.TFRecordWriter(str(target / FILE)) as writer:
        for each in records:
            writer.write(each)


def test_a_version_is_warmed_up_before_it_serves(serve: Serve, saved: Saved, tmp_path: Path, monitoring: str) -> None:
    warmed(saved.half_plus_two, tmp_path / "1", record([1.0]), record([1.0, 2.0]))
    client = serve(
        model_name="line",
        model_base_path=str(tmp_path),
        monitoring_config_file=monitoring,
        num_request_iterations_for_warmup=3,
    )
    lines = client.rest("GET", METRICS)[1].splitlines()
    serving = ":tensorflow:serving:"
    assert f'{serving}runtime_latency_count{{model_name="line",API="Predict",runtime="TF1"}} 6' in lines
    assert f'{serving}model_warmup_records_read{{model_path="{tmp_path}/1",status="OK"}} 2' in lines
    assert f'{serving}model_warmup_latency_count{{model_path="{tmp_path}/1",status="OK"}} 1' in lines
    assert not any(line.startswith(f"{serving}request_count{{") for line in lines)


@pytest.mark.parametrize(
    ("records", "error"),
    [
        ([b"\xff"], "INVALID_ARGUMENT: Failed to parse warmup record: "),
        ([record()], "INVALID_ARGUMENT: input size does not match signature: 0!=1"),
        ([record(kind="classify_log")], "UNIMPLEMENTED: Unsupported log_type for warmup: classify_log"),
        ([record([1.0])] * 1001, r"INVALID_ARGUMENT: Number of warmup records exceeds the maximum \(1000\) at "),
    ],
)
def test_a_warmup_that_fails_fails_the_load(
    serve: Serve, saved: Saved, tmp_path: Path, records: list[bytes], error: str
) -> None:
    warmed(saved.half_plus_two, tmp_path / "1", *records)
    with pytest.raises(ServingError, match=error):
        serve(model_name="line", model_base_path=str(tmp_path), max_num_load_retries=0)
    client = serve(model_name="line", model_base_path=str(tmp_path), enable_model_warmup=False)
    assert value(client) == 7.0


def test_a_warmup_file_of_another_kind_fails_the_load(serve: Serve, saved: Saved, tmp_path: Path) -> None:
    warmed(saved.half_plus_two, tmp_path / "1")
    (tmp_path / "1" / FILE).write_bytes(b"these are no records at all")
    with pytest.raises(ServingError, match=r"DATA_LOSS: .*\. Please verify your warmup data is in TFRecord format\."):
        serve(model_name="line", model_base_path=str(tmp_path), max_num_load_retries=0)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (
            lambda path: (path / "saved_model.pb").write_bytes(b"\xff"),
            "DATA_LOSS: Can't parse .*/saved_model.pb as binary",
        ),
        # The original loads this one and fails every request.
        (lambda path: shutil.rmtree(path / "variables"), "NOT_FOUND: "),
    ],
)
def test_a_spoilt_version_fails_to_load(
    serve: Serve, saved: Saved, tmp_path: Path, spoil: Callable[[Path], object], error: str
) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    spoil(tmp_path / "1")
    with pytest.raises(ServingError, match=error):
        serve(model_name="line", model_base_path=str(tmp_path), max_num_load_retries=0)


def test_a_model_without_the_tags_fails_to_load(serve: Serve, saved: Saved, tmp_path: Path) -> None:
    publish(saved.half_plus_two, tmp_path / "1")
    with pytest.raises(
        ServingError, match=r"NOT_FOUND: Could not find meta graph def matching supplied tags: \{ gpu x \}"
    ):
        serve(model_name="line", model_base_path=str(tmp_path), max_num_load_retries=0, saved_model_tags="gpu,x")
