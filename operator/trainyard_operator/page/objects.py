"""Trainings and services as the page shows them: read from manifests, with nothing taken on trust."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from trainyard_api.meta import ApiModel, Condition
from trainyard_api.modelservice import ModelServiceStatus
from trainyard_api.times import from_rfc3339
from trainyard_api.trainingjob import TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.page.histories import Curve
from trainyard_operator.training.progress import duration

_Status = TypeVar("_Status", bound=ApiModel)
_ENDS = ("Failed", "Stalled")
_MOST_SETTINGS = 200
_MOST_TEXT = 500


@dataclass(frozen=True, slots=True)
class Training:
    """One TrainingJob."""

    namespace: str
    name: str
    created: str
    spec: Mapping[str, Any]
    status: TrainingJobStatus
    curve: Curve | None

    @property
    def path(self) -> str:
        """Its page."""
        return f"/trainings/{self.namespace}/{self.name}"

    @property
    def metrics(self) -> Mapping[str, str]:
        """The metrics of its model, or of the last epoch."""
        if self.status.model and self.status.model.metrics:
            return self.status.model.metrics
        return self.status.progress.metrics if self.status.progress else {}

    @property
    def loss(self) -> str:
        """The training loss, as the status has it."""
        return (self.status.progress and self.status.progress.loss) or self.metrics.get("loss", "")

    @property
    def problem(self) -> str:
        """What is wrong with it, for a person; empty where nothing is."""
        return _problem(self.status.conditions)

    def sentence(self) -> str:
        """Return what it does, in a sentence."""
        progress, model = self.status.progress, self.status.model
        match self.status.phase:
            case "Succeeded" if model:
                return f"{self.name} has trained version {model.version} of {model.name}"
            case "Running" | "Exporting" if progress:
                left = f", {progress.eta} left" if progress.eta else ""
                return f"{self.name} is at epoch {progress.summary}, {progress.percent} % done{left}"
            case "Failed":
                return f"{self.name} has failed"
            case phase:
                return f"{self.name} is {phase.lower()}"


@dataclass(frozen=True, slots=True)
class Service:
    """One ModelService."""

    namespace: str
    name: str
    created: str
    spec: Mapping[str, Any]
    status: ModelServiceStatus

    @property
    def path(self) -> str:
        """Its page."""
        return f"/services/{self.namespace}/{self.name}"

    @property
    def problem(self) -> str:
        """What is wrong with it, for a person; empty where nothing is."""
        ready = next((one for one in self.status.conditions if one.type == "Ready"), None)
        if ready is None or ready.status == "True" or self.status.phase == "Progressing":
            return ""
        return f"{ready.reason}: {ready.message}" if ready.message else ready.reason

    def sentence(self) -> str:
        """Return what it does, in a sentence."""
        current, following = self.status.current, self.status.next
        serves = (
            f"{self.name} serves version {_version(current.model_version)}"
            if current
            else f"{self.name} serves nothing yet"
        )
        if canary := self.status.canary:
            return (
                f"{serves} and tries version {_version(canary.model_version)} on {canary.weight} % of the requests, "
                f"step {canary.step} of {canary.steps}"
            )
        if following and (current is None or following.revision != current.revision):
            return f"{serves} and brings up version {_version(following.model_version)}"
        return serves


def training(manifest: Manifest, curve: Curve | None) -> Training:
    """Return what a manifest says of a training."""
    metadata = manifest["metadata"]
    return Training(
        metadata["namespace"],
        metadata["name"],
        str(metadata.get("creationTimestamp") or ""),
        _mapping(manifest.get("spec")),
        _parsed(TrainingJobStatus, manifest.get("status")),
        curve,
    )


def service(manifest: Manifest) -> Service:
    """Return what a manifest says of a service."""
    metadata = manifest["metadata"]
    return Service(
        metadata["namespace"],
        metadata["name"],
        str(metadata.get("creationTimestamp") or ""),
        _mapping(manifest.get("spec")),
        _parsed(ModelServiceStatus, manifest.get("status")),
    )


def _version(number: int | None) -> str:
    return "of unknown number" if number is None else str(number)


def age(created: str, now: datetime) -> str:
    """Return how long ago a moment was, for example 3h12m; `-` where it is none."""
    try:
        return duration((now - from_rfc3339(created)).total_seconds())
    except (ValueError, TypeError):
        return "-"


def settings(spec: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the fields of a spec by their paths, as texts; the first 200."""
    found: dict[str, str] = {}
    for name, value in spec.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            found |= settings(value, f"{path}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            found[path] = text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"
    return dict(list(found.items())[:_MOST_SETTINGS])


def differing(specs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return the settings in which specs differ: the path, and what each has there."""
    flat = [settings(each) for each in specs]
    names = sorted({name for each in flat for name in each})
    rows = [(name, [each.get(name, "-") for each in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _problem(conditions: Sequence[Condition]) -> str:
    wrong = (one for kind in _ENDS for one in conditions if one.type == kind and one.status == "True")
    return next((f"{one.reason}: {one.message}" if one.message else one.reason for one in wrong), "")


def _parsed(kind: type[_Status], status: object) -> _Status:
    try:
        return kind.model_validate(_mapping(status))
    except ValidationError:  # of another version, perhaps
        return kind()


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
