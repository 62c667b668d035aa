"""How the operator is run: every setting is an environment variable, and a flag that wins over it."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from typing import Any, Literal, cast

_PREFIX = "TRAINYARD_"
_VERSION = version("trainyard-operator")
_POSITIVE = (
    "workers",
    "progress_interval",
    "resync_interval",
    "reconcile_deadline",
    "request_timeout",
    "lease_duration",
)


def _setting(default: Any, description: str, choices: Sequence[str] | None = None) -> Any:
    return field(default=default, metadata={"help": description, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the process. Times are in seconds. A field `log_level` is TRAINYARD_LOG_LEVEL and --log-level."""

    namespaces: str = _setting("", "namespaces to serve, separated by commas; all of them where empty")
    trainer_image: str = _setting(
        f"trainyard/trainer:{_VERSION}", "image of training pods, unless the job names another"
    )
    trainer_gpu_image: str = _setting(
        f"trainyard/trainer:{_VERSION}-gpu",
        "image of training pods with NVIDIA GPUs, unless the job names another",
    )
    operator_image: str = _setting(
        f"trainyard/operator:{_VERSION}", "image whose fetch command brings a model to its server"
    )
    workers: int = _setting(8, "reconciles at a time")
    progress_interval: float = _setting(10.0, "seconds between two looks at the progress of a training")
    drain: float = _setting(15.0, "seconds a model version goes on answering after another took over from it")
    resync_interval: float = _setting(600.0, "seconds between two looks at everything")
    reconcile_deadline: float = _setting(60.0, "most seconds for one reconcile")
    request_timeout: float = _setting(30.0, "most seconds for one request to the API server")
    network_policies: str = _setting(
        "on", "whether trainings with several pods get a NetworkPolicy that shuts out other pods", ("on", "off")
    )
    leader_election: str = _setting(
        "off", "whether several operators elect the one that works, by a Lease", ("on", "off")
    )
    lease_name: str = _setting("trainyard-operator", "name of that Lease")
    lease_namespace: str = _setting("", "namespace of that Lease; the operator's own where empty")
    lease_duration: int = _setting(10, "seconds after which another takes over from a leader that died")
    host: str = _setting("0.0.0.0", "address to serve metrics and probes on")  # noqa: S104
    port: int = _setting(8080, "port to serve metrics and probes on; 0 takes a free one")
    page_port: int = _setting(0, "port to serve the read-only page on; 0 serves none")
    log_level: str = _setting("info", "least severe log records shown", ("debug", "info", "warning", "error"))
    log_format: Literal["text", "json"] = _setting("text", "form of log records", ("text", "json"))

    @property
    def namespace_list(self) -> tuple[str, ...]:
        """The namespaces to serve; empty for all."""
        return tuple(name for part in self.namespaces.split(",") if (name := part.strip()))


def load(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; on a mistake the process ends with a usage message, as command lines do."""
    parser = argparse.ArgumentParser(prog="python -m trainyard_operator", description="The Trainyard operator.")
    for setting in fields(Settings):
        variable = _PREFIX + setting.name.upper()
        parser.add_argument(
            f"--{setting.name.replace('_', '-')}",
            # argparse converts a default that is a string, so a variable is checked like a flag.
            default=environment.get(variable) or setting.default,
            type=cast(Any, type(setting.default)),
            choices=setting.metadata["choices"],
            help=f"{setting.metadata['help']} [{variable}; default: {setting.default!r}]",
        )
    settings = Settings(**vars(parser.parse_args(arguments)))
    for name in _POSITIVE:
        if getattr(settings, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be greater than 0, got {getattr(settings, name)}")
    for name in ("network_policies", "leader_election", "log_level", "log_format"):
        if getattr(settings, name) not in (choices := _choices(name)):
            parser.error(f"--{name.replace('_', '-')} must be one of {', '.join(choices)}")
    return settings


def _choices(name: str) -> Sequence[str]:
    return cast(
        Sequence[str], next(setting.metadata["choices"] for setting in fields(Settings) if setting.name == name)
    )
