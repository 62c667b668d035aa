"""The TensorFlow Serving container: its image, its resources, and its flags as fields."""

from typing import Annotated

from pydantic import ConfigDict, Field

from trainyard_api.forms import MICROSECONDS_PATTERN
from trainyard_api.meta import ApiModel, Duration, ResourceName, rule, rules
from trainyard_api.pods import GPU_RULES, PodTemplate, Resources

_OURS = (
    "port", "rest_api_port", "model_name", "model_base_path", "model_config_file",
    "model_config_file_poll_wait_seconds", "monitoring_config_file", "file_system_poll_wait_seconds",
    "max_num_load_retries", "load_retry_interval_micros", "grpc_channel_arguments", "enable_batching",
    "batching_parameters_file", "num_request_iterations_for_warmup", "tensorflow_session_parallelism",
    "tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism", "per_process_gpu_memory_fraction",
    "enable_grpc_healthcheck_service", "ssl_config_file", "use_alts_credentials", "version",
)  # fmt: skip
"""Flags that the operator sets, or cannot do without their defaults: it asks servers over plain gRPC."""
_FREE = (
    "allow_version_labels_for_unavailable_models", "enable_model_warmup", "enable_per_model_batching_parameters",
    "enable_profiler", "enable_serialization_as_tensor_content", "enable_signature_method_name_check",
    "flush_filesystem_caches", "grpc_max_threads", "grpc_socket_path", "mixed_precision", "num_load_threads",
    "num_tflite_interpreters_per_pool", "num_tflite_pools", "num_unload_threads", "platform_config_file",
    "prefer_tflite_model", "remove_unused_fields_from_bundle_metagraph", "rest_api_enable_cors_support",
    "rest_api_num_threads", "rest_api_timeout_in_ms", "saved_model_tags", "skip_initialize_tpu",
    "tensorflow_session_config_file", "thread_pool_factory_config_file", "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
)  # fmt: skip
"""All other flags of TensorFlow Serving 2.20, which takes what it does not know without a word."""

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Argument = Annotated[str, Field(min_length=3, max_length=256)]

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000}


class Batching(ApiModel):
    """Requests that arrive at the same time are computed together, which pays on GPUs."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.allowedSizes) || (self.allowedSizes.all(s, s <= self.maxBatchSize) && "
                "self.allowedSizes.exists(s, s == self.maxBatchSize))",
                "the largest of allowedSizes must be maxBatchSize",
                ".allowedSizes",
            )
        )
    )
    max_batch_size: Size = Field(description="Rows of a batch at most. A request with more is refused.")
    timeout: str | None = Field(
        default=None,
        pattern=MICROSECONDS_PATTERN,
        max_length=8,
        description="How long a batch waits for more rows, for example 2ms. Where absent it does not wait.",
    )
    threads: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="Batches that are computed at the same time. Where absent: the CPUs of the node."
    )
    allowed_sizes: list[Size] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Sizes to which batches are filled up, for graphs that are compiled for each size.",
    )
    queue_length: Size | None = Field(
        default=None, description="Batches that wait at most; more are refused with UNAVAILABLE. Where absent: 10."
    )

    @property
    def timeout_micros(self) -> int | None:
        """The timeout in the unit of TensorFlow Serving."""
        if self.timeout is None:
            return None
        number = self.timeout.rstrip("mus")
        return int(number) * _UNITS[self.timeout.removeprefix(number)]


class ServerThreads(ApiModel):
    """Threads of TensorFlow's two pools. Where absent they follow the limit of CPUs, if there is one."""

    intra: Annotated[int, Field(ge=1, le=1024)] | None = Field(default=None, description="Threads in one operation.")
    inter: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="Operations that run side by side."
    )


class Server(ApiModel):
    """The TensorFlow Serving container."""

    model_config = ConfigDict(json_schema_extra=rules(*GPU_RULES))
    image: str = Field(
        default="tensorflow/serving:2.20.0", min_length=1, max_length=512, description="A TensorFlow Serving image."
    )
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs of each replica.")
    gpu_resource: ResourceName = Field(
        default="nvidia.com/gpu", description="Name of the extended resource that counts as a GPU."
    )
    resources: Resources = Field(default=Resources(), description="Resources of each replica, without its GPUs.")
    startup_timeout: Duration = Field(
        default="30m", description="How long a pod may take to fetch its model and to load it, for example 5m."
    )
    batching: Batching | None = Field(default=None, description="Compute requests together. Absent: each by itself.")
    warmup_iterations: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="How often each warm-up request of the model runs before it serves; once where absent.",
    )
    threads: ServerThreads | None = Field(default=None, description="Threads of TensorFlow's two pools.")
    gpu_memory_fraction: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="Share of a GPU's memory that the server takes, where GPUs are shared. Where absent: nearly all.",
    )
    extra_args: list[Argument] = Field(
        default=[],
        max_length=32,
        description="Further flags of TensorFlow Serving 2.20, such as --enable_profiler=false.",
        json_schema_extra=rules(
            rule(
                f"self.all(a, !a.matches('^--({'|'.join(_OURS)})(=|$)'))",
                f"these flags are set by the operator and by other fields: {', '.join(_OURS)}",
            ),
            rule(
                f"self.all(a, a.matches('^--({'|'.join((*_OURS, *_FREE))})(=.*)?$'))",
                "expected --flag=value with a flag that TensorFlow Serving 2.20 has: docs/how-to/server.md lists them",
            ),
        ),
    )
    template: PodTemplate = Field(default=PodTemplate(), description="What else to set on the pods.")


def flag_name(argument: str) -> str:
    """Return the name of the flag in an argument such as --name=value."""
    return argument.removeprefix("--").partition("=")[0]
