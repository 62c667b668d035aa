"""The command line: the flag table of tensorflow_model_server and TensorFlow's own way of reading it.

Only `--name=value` is understood, booleans also as a bare `--name`. An unknown argument does not stop the server.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

INT32: Final = "int32"
INT64: Final = "int64"
BOOL: Final = "bool"
STRING: Final = "string"
FLOAT: Final = "float"
_RANGE = {INT32: 2**31, INT64: 2**63}


def _flag(kind: str, default: object, text: str) -> Any:
    return field(default=default, metadata={"kind": kind, "text": text})


@dataclass(frozen=True, slots=True)
class Options:
    """Every flag with its default, in the order of the usage text."""

    port: int = _flag(INT32, 8500, "TCP port for gRPC. 0 = off.")
    grpc_socket_path: str = _flag(STRING, "", "Also listen for gRPC on this unix socket.")
    rest_api_port: int = _flag(INT32, 0, "TCP port for REST and metrics. 0 = off. Must differ from --port.")
    rest_api_num_threads: int = _flag(INT32, 0, "No effect: each connection has a thread here.")
    rest_api_timeout_in_ms: int = _flag(INT32, 30000, "Time limit of one REST computation.")
    rest_api_enable_cors_support: bool = _flag(BOOL, False, "Send CORS headers and answer preflight requests.")
    enable_batching: bool = _flag(BOOL, False, "Compute requests together that come together.")
    allow_version_labels_for_unavailable_models: bool = _flag(BOOL, False, "Let a new label name an absent version.")
    batching_parameters_file: str = _flag(STRING, "", "Text BatchingParameters; needs --enable_batching.")
    model_config_file: str = _flag(STRING, "", "Text ModelServerConfig. Takes the place of name and base path.")
    model_config_file_poll_wait_seconds: int = _flag(INT32, 0, "Seconds between readings of it. 0 = once.")
    model_name: str = _flag(STRING, "default", "Name of the single model.")
    model_base_path: str = _flag(STRING, "", "Folder of the single model's versions.")
    num_load_threads: int = _flag(INT32, 0, "Threads that load. 0 = in the manager's own.")
    num_unload_threads: int = _flag(INT32, 0, "Threads that unload. 0 = in the manager's own.")
    max_num_load_retries: int = _flag(INT32, 5, "Tries after the first failed load of a version.")
    load_retry_interval_micros: int = _flag(INT64, 60_000_000, "Time between these tries.")
    file_system_poll_wait_seconds: int = _flag(INT32, 1, "Seconds between scans. 0 = one scan, negative = none.")
    flush_filesystem_caches: bool = _flag(BOOL, True, "No visible effect.")
    tensorflow_session_parallelism: int = _flag(INT64, 0, "Threads of both TensorFlow pools. 0 = automatic.")
    tensorflow_session_config_file: str = _flag(STRING, "", "Text ConfigProto.")
    tensorflow_intra_op_parallelism: int = _flag(INT64, 0, "Threads within one operation. 0 = automatic.")
    tensorflow_inter_op_parallelism: int = _flag(INT64, 0, "Threads for operations side by side. 0 = automatic.")
    use_alts_credentials: bool = _flag(BOOL, False, "Google ALTS (refused here).")
    ssl_config_file: str = _flag(STRING, "", "Text SSLConfig (refused here).")
    platform_config_file: str = _flag(STRING, "", "Text PlatformConfigMap (refused here).")
    per_process_gpu_memory_fraction: float = _flag(FLOAT, 0.0, "Share of GPU memory. 0 = TensorFlow decides.")
    saved_model_tags: str = _flag(STRING, "serve", "Comma list of tags of the graph to load.")
    grpc_channel_arguments: str = _flag(STRING, "", "Comma list of gRPC channel arguments, k=v.")
    grpc_max_threads: int = _flag(INT32, 0, "Threads for gRPC. 0 = 4 per CPU.")
    enable_model_warmup: bool = _flag(BOOL, True, "Run a version's warmup file before it serves.")
    num_request_iterations_for_warmup: int = _flag(INT32, 0, "Runs of each warmup record. 0 = 1.")
    version: bool = _flag(BOOL, False, "Print versions and end.")
    monitoring_config_file: str = _flag(STRING, "", "Text MonitoringConfig. Without it there are no metrics.")
    remove_unused_fields_from_bundle_metagraph: bool = _flag(BOOL, True, "No visible effect.")
    prefer_tflite_model: bool = _flag(BOOL, False, "Serve model.tflite where there is one (refused here).")
    num_tflite_pools: int = _flag(INT32, 0, "No effect without --prefer_tflite_model.")
    num_tflite_interpreters_per_pool: int = _flag(INT32, 1, "No effect without --prefer_tflite_model.")
    enable_signature_method_name_check: bool = _flag(BOOL, False, "Refuse signatures with another method name.")
    xla_cpu_compilation_enabled: bool = _flag(BOOL, False, "Compile for the CPU with XLA (refused here).")
    xla_gpu_compilation_enabled: bool = _flag(BOOL, False, "Compile for the GPU with XLA (refused here).")
    enable_profiler: bool = _flag(BOOL, True, "TensorFlow's profiler service (not offered here).")
    thread_pool_factory_config_file: str = _flag(STRING, "", "Text ThreadPoolFactoryConfig (refused here).")
    mixed_precision: str = _flag(STRING, "", "Automatic mixed precision (refused here).")
    skip_initialize_tpu: bool = _flag(BOOL, False, "No effect without TPUs.")
    enable_grpc_healthcheck_service: bool = _flag(BOOL, False, "Offer the standard gRPC health service.")
    enable_serialization_as_tensor_content: bool = _flag(BOOL, False, "Reply with raw tensor bytes.")
    enable_per_model_batching_parameters: bool = _flag(BOOL, False, "Batching per model (refused here).")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the arguments said."""

    options: Options
    ok: bool
    """False where a value could not be read (or --help was given): print the usage and exit with 255."""
    unknown: tuple[str, ...]
    errors: tuple[str, ...]


def parse(arguments: Sequence[str]) -> CommandLine:
    """Read the arguments (without the program's name). A repeated flag counts as it stands last."""
    values: dict[str, object] = {}
    unknown: list[str] = []
    errors: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            unknown.extend(arguments[position:])
            break
        for name, kind in _KINDS.items():
            rest = _rest(argument, name, kind)
            if rest is None:
                continue
            value = _value(rest, kind)
            if value is None:
                errors.append(f"Couldn't interpret value {rest} for flag {name}.")
            else:
                values[name] = value
            break
        else:
            unknown.append(argument)
    ok = not errors and unknown[:1] != ["--help"]
    return CommandLine(Options(**values), ok, tuple(unknown), tuple(errors))  # type: ignore[arg-type]


def usage(program: str) -> str:
    """The usage text."""
    lines = [f"usage: {program}", "Flags:"]
    for option in fields(Options):
        shown = _shown(option.default, option.metadata["kind"])
        lines.append(f"\t{f'--{option.name}={shown}':<33}\t{option.metadata['kind']}\t{option.metadata['text']}")
    return "\n".join(lines) + "\n"


_KINDS: Final = {option.name: str(option.metadata["kind"]) for option in fields(Options)}


def _rest(argument: str, name: str, kind: str) -> str | None:
    """What follows the flag's name, or None where the argument is not this flag.

    TensorFlow takes any argument that begins with a boolean's name for that boolean.
    """
    prefix = f"--{name}" if kind == BOOL else f"--{name}="
    return argument[len(prefix) :] if argument.startswith(prefix) else None


def _value(text: str, kind: str) -> object:
    if kind == STRING:
        return text
    if kind == BOOL:
        return {"": True, "=true": True, "=false": False}.get(text)
    try:
        if kind == FLOAT:
            return float(text) if "_" not in text else None
        number = int(text) if re.fullmatch(r"\s*[+-]?[0-9]+", text) else None
    except ValueError:
        return None
    return number if number is not None and -_RANGE[kind] <= number < _RANGE[kind] else None


def _shown(default: object, kind: str) -> str:
    if kind == BOOL:
        return str(default).lower()
    if kind == FLOAT:
        return f"{default:f}"
    return f'"{default}"' if kind == STRING else str(default)
