"""The command line."""

import pytest

from trainyard_modelserver.flags import Options, parse, usage


def test_the_entrypoint_of_the_official_image_is_understood() -> None:
    line = parse(["--port=8500", "--rest_api_port=8501", "--model_name=m", "--model_base_path=/models/m"])
    assert line.ok
    assert not line.unknown
    assert line.options == Options(port=8500, rest_api_port=8501, model_name="m", model_base_path="/models/m")


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--port=1", "--port=2"], "port", 2),
        (["--port= 7"], "port", 7),
        (["--file_system_poll_wait_seconds=-1"], "file_system_poll_wait_seconds", -1),
        (["--enable_grpc_healthcheck_service"], "enable_grpc_healthcheck_service", True),
        (["--enable_model_warmup=false"], "enable_model_warmup", False),
        (["--model_name="], "model_name", ""),
        (["--model_name=a=b"], "model_name", "a=b"),
        (["--load_retry_interval_micros=60000000000"], "load_retry_interval_micros", 60_000_000_000),
        (["--per_process_gpu_memory_fraction=0.5"], "per_process_gpu_memory_fraction", 0.5),
    ],
)
def test_a_value_is_read(arguments: list[str], name: str, value: object) -> None:
    line = parse(arguments)
    assert line.ok
    assert getattr(line.options, name) == value


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ("--port=abc", "Couldn't interpret value abc for flag port."),
        ("--port=12x", "Couldn't interpret value 12x for flag port."),
        ("--port=", "Couldn't interpret value  for flag port."),
        ("--port=4294967296", "Couldn't interpret value 4294967296 for flag port."),
        ("--enable_batching=1", "Couldn't interpret value =1 for flag enable_batching."),
        ("--enable_batching=True", "Couldn't interpret value =True for flag enable_batching."),
        ("--enable_batchings", "Couldn't interpret value s for flag enable_batching."),
        (
            "--per_process_gpu_memory_fraction=much",
            "Couldn't interpret value much for flag per_process_gpu_memory_fraction.",
        ),
    ],
)
def test_a_bad_value_stops_the_server(argument: str, error: str) -> None:
    line = parse([argument, "--model_name=m"])
    assert not line.ok
    assert line.errors == (error,)


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        (["--prot=8500"], ("--prot=8500",)),
        (["--port", "8500"], ("--port", "8500")),
        (["-port=8500"], ("-port=8500",)),
        (["--model_name"], ("--model_name",)),
        (["--", "--port=1"], ("--", "--port=1")),
    ],
)
def test_what_is_no_flag_is_passed_over(arguments: list[str], unknown: tuple[str, ...]) -> None:
    line = parse(arguments)
    assert line.ok
    assert line.unknown == unknown
    assert line.options == Options()


def test_help_is_an_unknown_flag_that_stops_the_server() -> None:
    assert not parse(["--help"]).ok


def test_the_usage_lists_flags_with_default_and_type() -> None:
    lines = usage("server").splitlines()
    assert lines[:2] == ["usage: server", "Flags:"]
    assert lines[2] == "\t--port=8500                      \tint32\tTCP port for gRPC. 0 = off."
    assert any(line.startswith('\t--model_name="default"           \tstring\t') for line in lines)
    assert any(line.startswith("\t--enable_model_warmup=true       \tbool\t") for line in lines)
    assert any(line.startswith("\t--per_process_gpu_memory_fraction=0.000000\tfloat\t") for line in lines)
