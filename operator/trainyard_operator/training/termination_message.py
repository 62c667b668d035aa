"""What a trainer says when it ends. It comes from a user's container, so nothing in it is taken on trust."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

from trainyard_api.model_uris import VersionUri
from trainyard_api.times import from_rfc3339, to_rfc3339
from trainyard_api.trainingjob import CheckpointStatus, ModelStatus, PredictionsStatus, TrainingJob
from trainyard_operator.workloads.text import clean, last_line

_METRICS = 32


def decimal(value: float, digits: int = 6) -> str:
    """Return a number the way status fields carry it."""
    return f"{value:.{digits}g}"


def finite_numbers(value: object) -> dict[str, float]:
    """Return the finite numbers of a JSON object under short names, at most 32 of them; anything else counts as none.

    A diverged run reports NaN, and that is no reason to lose the rest of what it reports.
    """
    if not isinstance(value, dict):
        return {}
    pairs = ((name, number) for name, number in value.items() if is_metric_name(name))
    return dict([(name, float(number)) for name, number in pairs if is_finite(number)][:_METRICS])


def is_metric_name(name: object) -> bool:
    """Return whether a metric may be called so in a status and on a terminal."""
    return isinstance(name, str) and 0 < len(name) <= 64 and clean(name) == name


def is_finite(value: object) -> bool:
    """Return whether a JSON value is a number one can write down."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300 and math.isfinite(value)
    )


def _time(value: object) -> datetime:
    """Read a time that Kubernetes can show: no year that its clock, or Python's, does not have."""
    try:
        time = from_rfc3339(str(value)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if not 1970 <= time.year <= 9998:
        raise ValueError(f"expected a time from 1970 to 9998, got {value!r}")
    return time


def or_none(value: object, parse: ValidatorFunctionWrapHandler) -> Any:
    """Take what is not essential as absent where it makes no sense."""
    try:
        return parse(value)
    except ValidationError:
        return None


Metrics = Annotated[dict[str, float], BeforeValidator(finite_numbers)]
Loss = Annotated[float | None, BeforeValidator(lambda value: value if is_finite(value) else None)]


class TrainerMessage(BaseModel):
    """Base of what a trainer reports; fields we do not know are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="ignore", frozen=True, strict=True)


Amount = Annotated[Annotated[int, Field(ge=0, le=2**53)] | None, WrapValidator(or_none)]


class ReportedCheckpoint(TrainerMessage):
    """A checkpoint the trainer has written."""

    step: int = Field(ge=0, le=2**53)
    path: str = Field(min_length=1, max_length=1024)
    time: Annotated[datetime, BeforeValidator(_time)]

    def to_status(self) -> CheckpointStatus:
        """Return it as it stands in the status."""
        return CheckpointStatus(step=self.step, path=clean(self.path), time=to_rfc3339(self.time))


class ReportedModel(TrainerMessage):
    """A model version the trainer has written."""

    name: str
    version: int = Field(ge=1, le=2**53)
    path: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0, le=2**63 - 1)
    created: Annotated[Annotated[datetime, BeforeValidator(_time)] | None, WrapValidator(or_none)] = None
    data_fingerprint: Annotated[
        Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None, WrapValidator(or_none)
    ] = None


class ReportedPredictions(TrainerMessage):
    """What a batch scoring has written."""

    rows: int = Field(ge=0, le=2**53)
    bad_rows: int = Field(ge=0, le=2**53)
    files: int = Field(ge=0, le=2**53)
    path: str = Field(min_length=1, max_length=1024)
    model: str = Field(max_length=1024)


class Report(TrainerMessage):
    """The termination message."""

    reason: str = ""
    message: str = ""
    epochs: Amount = None
    steps: Amount = None
    loss: Loss = None
    metrics: Metrics = Field(default={})
    model: ReportedModel | None = None
    predictions: ReportedPredictions | None = None
    last_checkpoint: Annotated[ReportedCheckpoint | None, WrapValidator(or_none)] = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A last word that is not a report: of the end of a log, its last line."""

    text: str


def read(message: str) -> Report | Unreadable:
    """Parse a termination message."""
    try:
        said = json.loads(message, parse_int=integer)
        if not isinstance(said, dict):
            return Unreadable(last_line(message))
        report = Report.model_validate({name: value for name, value in said.items() if name != "leftOut"})
        return report.model_copy(update={"left_out": _left_out(said, report)})
    except (ValueError, ValidationError, RecursionError):
        return Unreadable(last_line(message))


def integer(digits: str) -> int | float:
    """Read a JSON integer: Python refuses more than 4,300 digits, and nothing here has more than 20."""
    return int(digits) if len(digits) <= 20 else math.inf


def _left_out(said: dict[str, Any], report: Report) -> tuple[str, ...]:
    """Return what a report said that nothing can be made of."""
    fields = {"epochs": report.epochs, "steps": report.steps, "lastCheckpoint": report.last_checkpoint}
    names = [name for name, value in fields.items() if value is None and said.get(name) is not None]
    metrics = said.get("metrics")
    odd = sum(not is_metric_name(name) for name in metrics) if isinstance(metrics, dict) else 0
    return (*names, *([f"{odd} of its metrics"] if odd else []))


def result_of(job: TrainingJob, report: Report) -> ModelStatus | PredictionsStatus | str:
    """Return what the program has made, or what is wrong with what the trainer says about it."""
    return predictions_status(job, report) if job.spec.program.predict else model_status(job, report)


def predictions_status(job: TrainingJob, report: Report) -> PredictionsStatus | str:
    """Return what was predicted, or what is wrong with what the trainer says about it."""
    made = report.predictions
    if made is None:
        return "its last word names no predictions"
    if not made.path.startswith(expected := f"{job.model_name}/predictions/") or ".." in made.path.split("/"):
        return f"it wrote predictions at {clean(made.path, 100)!r}; expected a folder in {expected!r}"
    store = job.spec.output.store
    claim = store.persistent_volume_claim
    root = f"pvc://{claim.claim_name}" if claim else (store.uri or "").rstrip("/")
    return PredictionsStatus(
        rows=made.rows,
        bad_rows=made.bad_rows,
        files=made.files,
        uri=f"{root}/{clean(made.path)}",
        model=clean(made.model),
    )


def model_status(job: TrainingJob, report: Report) -> ModelStatus | str:
    """Return the trained version, or what is wrong with what the trainer says about it."""
    model = report.model
    if model is None:
        return "its last word names no model"
    expected = f"{job.model_name}/{model.version}"
    if (model.name, model.path.strip("/")) != (job.model_name, expected):
        return f"it wrote model {clean(model.name, 100)!r} at {clean(model.path, 100)!r}; expected {expected!r}"
    store = job.spec.output.store
    root = store.persistent_volume_claim.claim_name if store.persistent_volume_claim else (store.uri or "").rstrip("/")
    return ModelStatus(
        name=model.name,
        version=model.version,
        uri=str(VersionUri(root, job.model_name, str(model.version))),
        digest=model.digest,
        size_bytes=model.size_bytes,
        created=model.created and to_rfc3339(model.created),
        data_fingerprint=model.data_fingerprint,
        metrics={name: decimal(value) for name, value in report.metrics.items()},
    )
