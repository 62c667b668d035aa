"""The configuration files: text protobufs read into plain data, with TensorFlow Serving's own refusals."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .errors import Code, ServingError, invalid_argument, not_found, unimplemented
from .protos import monitoring_config
from .versions import All, Latest, Policy, Specific

_log = logging.getLogger(__name__)

PLATFORM: Final = "tensorflow"
DEFAULT_METRICS_PATH: Final = "/monitoring/prometheus/metrics"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model to serve."""

    name: str
    base_path: str
    policy: Policy
    labels: Mapping[str, int]
    platform: str = PLATFORM


def single_model(name: str, base_path: str) -> tuple[ModelConfig, ...]:
    """The configuration that the flags --model_name and --model_base_path stand for."""
    return checked([ModelConfig(name, base_path, Latest(), {})])


def read_model_config(file: str) -> tuple[ModelConfig, ...] | None:
    """Read a text ModelServerConfig; None where it says nothing at all, which asks for no action.

    Raises ServingError where it cannot be read or is refused.
    """
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    read_text_proto(file, config)
    match config.WhichOneof("config"):
        case None:
            return None
        case "model_config_list":
            return checked([_model(model) for model in config.model_config_list.config])
        case _:
            raise unimplemented("ModelServer does not yet support custom model config.")


def metrics_path(file: str) -> str | None:
    """The path of the metrics page by a text MonitoringConfig; None where metrics are off (or there is no file)."""
    if not file:
        return None
    config = monitoring_config()
    read_text_proto(file, config)
    prometheus = config.prometheus_config
    return (prometheus.path or DEFAULT_METRICS_PATH) if prometheus.enable else None


def read_text_proto(file: str, message: Any) -> None:
    """Read a text protobuf into the message. Raises ServingError (NOT_FOUND or INVALID_ARGUMENT)."""
    from google.protobuf import text_format

    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise not_found(f"{file}; {error.strerror}") from error
    try:
        text_format.Parse(text, message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        _log.error("Error parsing text-format %s: %s", message.DESCRIPTOR.full_name, error)
        raise invalid_argument(f"Invalid protobuf file: '{file}'") from error


def checked(models: Iterable[ModelConfig]) -> tuple[ModelConfig, ...]:
    """The models, or a ServingError where the list as a whole is refused."""
    models = tuple(models)
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        seen.add(model.name)
    for model in models:
        if not model.base_path.startswith("/") and "://" not in model.base_path:
            raise invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )
    for model in models:
        if model.platform != PLATFORM:
            raise invalid_argument(f"Model {model.name} requests unsupported platform {model.platform}")
    return models


def check_labels(
    model: ModelConfig, current: Mapping[str, int], available: Iterable[int], *, allow_unavailable: bool
) -> None:
    """Refuse (FAILED_PRECONDITION) labels on versions that do not serve.

    With `allow_unavailable` a new label may stand on any version; moving one is refused all the same.
    """
    available = frozenset(available)
    for label, version in model.labels.items():
        moved = current.get(label, version) != version
        if version not in available and (moved or not allow_unavailable):
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"Request to assign label to version {version} of model {model.name}, which is not currently "
                "available for inference",
            )


def _model(config: Any) -> ModelConfig:
    return ModelConfig(
        config.name,
        config.base_path,
        _policy(config.model_version_policy),
        dict(config.version_labels),
        _platform(config),
    )


def _platform(config: Any) -> str:
    unspecified, tensorflow = 0, 1
    if config.model_type == unspecified:
        if not config.model_platform:
            raise invalid_argument(
                "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                "ModelServerConfig::model_platform."
            )
        return str(config.model_platform)
    if config.model_platform:
        raise invalid_argument(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
        )
    if config.model_type != tensorflow:
        raise invalid_argument(f"ModelServerConfig::model_type choice {config.model_type} not supported.")
    return PLATFORM


def _policy(policy: Any) -> Policy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(policy.specific.versions))
        case _:
            return Latest(max(policy.latest.num_versions, 1))
