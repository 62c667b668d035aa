"""The server as a process, the way a node starts it."""

import contextlib
import signal
import socket
import time
from pathlib import Path

import pytest

from support.serving_client import GRPC, REST, Client, Saved
from support.serving_models import loopback_address, publish, start_server

SECONDS = 60.0


def listening(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
        return True
    return False


def test_it_opens_its_ports_only_with_a_model_and_dies_of_sigterm_at_once(saved: Saved, tmp_path: Path) -> None:
    address = loopback_address()
    arguments = [
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=line",
        f"--model_base_path={tmp_path}",
        "--prot=1",
    ]
    with start_server(*arguments, address=address) as process:
        try:
            assert process.stderr
            # An empty base path: it is up, and waits.
            for line in process.stderr:
                if "No versions of servable line found" in line:
                    break
            assert not listening(address, GRPC)
            assert not listening(address, REST)
            publish(saved.half_plus_two, tmp_path / "1")
            for line in process.stderr:
                if "Exporting HTTP/REST API" in line:
                    break
            client = Client(address)
            assert client.predict("line", x=[1.0]).outputs["y"].float_val[0] == 2.5
            assert client.rest("POST", "/v1/models/line:predict", {"instances": [1]})[0] == 200
            client.close()
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == -signal.SIGTERM
            assert time.monotonic() - started < 2
            assert process.stdout
            assert process.stdout.readline() == "unknown argument: --prot=1\n"
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--port=x"], "usage: tensorflow_model_server\nFlags:\n"),
        (["--help"], "usage: tensorflow_model_server\nFlags:\n"),
        (
            ["--model_name=line"],
            "Failed to start server. Error: INVALID_ARGUMENT: Both server_options.model_base_path and "
            "server_options.model_config_file are empty!\n",
        ),
        (
            ["--model_name=line", "--model_base_path={}", "--max_num_load_retries=1", "--load_retry_interval_micros=1"],
            "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: {{{name: line version: 1} "
            "due to error: NOT_FOUND: Could not find SavedModel .pb or .pbtxt at supplied export directory path: {}/1. "
            "Check that the directory exists and that you have the right permissions for accessing it.}, }\n",
        ),
    ],
)
def test_what_keeps_it_from_starting_is_on_stdout_and_the_code_is_255(
    tmp_path: Path, arguments: list[str], output: str
) -> None:
    (tmp_path / "1").mkdir()
    arguments = [argument.replace("{}", str(tmp_path)) for argument in arguments]
    with start_server(*arguments, address=loopback_address()) as process:
        stdout, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 255
        assert stdout.startswith(output.replace("path: {}", f"path: {tmp_path}"))


def test_the_version_is_two_lines() -> None:
    with start_server("--version", address=loopback_address()) as process:
        stdout, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0
        assert [line.partition(":")[0] for line in stdout.splitlines()] == [
            "TensorFlow ModelServer",
            "TensorFlow Library",
        ]
