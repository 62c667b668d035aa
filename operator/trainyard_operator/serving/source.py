"""Which model version a ModelService wants: the one it names, or the newest that its TrainingJobs have made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from trainyard_api.conditions import is_true
from trainyard_api.model_uris import VersionUri
from trainyard_api.modelservice import HistoryEntry, RevisionStatus
from trainyard_api.names import (
    METRICS_ANNOTATION,
    MODEL_DIGEST_ANNOTATION,
    MODEL_URI_ANNOTATION,
    SELECTOR_ANNOTATION,
    TRAINED_ANNOTATION,
    TRAINING_JOB_ANNOTATION,
    TRAINING_JOB_UID_ANNOTATION,
)
from trainyard_api.suggestions import did_you_mean, listed
from trainyard_api.trainingjob import TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.blockers import Blocker

_MOST_LABELS = 100
"""Characters of a job's labels that a message shows."""
_MOST_COMPARED = 100
"""Jobs among which the meant one is looked for: the newest."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model in a store.

    Attributes:
        store: Name of the store's PersistentVolumeClaim; or scheme and bucket of one that is reached over the network.
        model: Path of the model in the store.
        folder: Name of the version's folder: its number, perhaps with leading zeros.
        digest: Digest of its manifest, where known.
        training_job: Name of the TrainingJob that made it, where known.
        training_job_uid: Its uid. Like all that follows, no part of what makes two versions equal.
        trained: When it was completed, in RFC 3339; of a version that a job reuses, when it was made. Only this orders
            models: version numbers mean something within one model of one store, and begin again where a store is
            emptied.
        selector: The labels by which it was found.
        metrics: The final metrics of its training, as decimal numbers.
    """

    store: str
    model: str
    folder: str
    digest: str | None = None
    training_job: str | None = None
    training_job_uid: str | None = field(default=None, compare=False)
    trained: str | None = field(default=None, compare=False)
    selector: str | None = field(default=None, compare=False)
    metrics: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def uri(self) -> str:
        """The form in `spec.model.uri`."""
        return str(self._address)

    @property
    def claim(self) -> str | None:
        """The PersistentVolumeClaim that it is on, if it is on one."""
        return self._address.claim

    @property
    def version(self) -> int:
        """The number TensorFlow Serving knows it by."""
        return self._address.version

    @property
    def _address(self) -> VersionUri:
        return VersionUri(self.store, self.model, self.folder)

    @property
    def title(self) -> str:
        """What people call it."""
        return f"version {self.version} of {self.model}"

    def is_newer_than(self, other: "ModelVersion") -> bool:
        """Return whether it was trained after the other; what is not known to be older is newer."""
        # RFC 3339 in UTC and whole seconds sorts as text.
        return other.trained is None or (self.trained or "") > other.trained


@dataclass(frozen=True, slots=True)
class Held:
    """The model versions that a service has.

    Attributes:
        coming: The one that is being brought up.
        serving: The one that has the traffic.
        former: Those that had it, as far as somebody remembers, the newest first.
    """

    coming: ModelVersion | None = None
    serving: ModelVersion | None = None
    former: tuple[ModelVersion, ...] = ()

    @property
    def versions(self) -> list[ModelVersion]:
        """Those that have pods, the newer one first."""
        return [version for version in (self.coming, self.serving) if version]


def parse_uri(uri: str, *, digest: str | None = None, training_job: str | None = None) -> ModelVersion | Blocker:
    """Return the model version at a URI, or what is wrong with the URI."""
    try:
        address = VersionUri.parse(uri)
    except ValueError as error:
        return Blocker("InvalidModelUri", str(error))
    return ModelVersion(address.store, address.model, address.folder, digest, training_job)


def from_status(revision: RevisionStatus | None) -> ModelVersion | None:
    """Return the model version that a revision in a status serves."""
    if revision is None:
        return None
    version = parse_uri(revision.uri, digest=revision.digest, training_job=revision.training_job)
    if isinstance(version, Blocker):
        return None
    return replace(
        version,
        training_job_uid=revision.training_job_uid,
        trained=revision.trained,
        selector=revision.selector,
        metrics=revision.metrics or {},
    )


def from_history(entry: HistoryEntry) -> ModelVersion | None:
    """Return the model version of a revision that served before."""
    version = parse_uri(entry.uri, digest=entry.digest, training_job=entry.training_job)
    if isinstance(version, Blocker):
        return None
    return replace(version, training_job_uid=entry.training_job_uid, trained=entry.trained, selector=entry.selector)


def from_annotations(deployment: Manifest | None) -> ModelVersion | None:
    """Return the model version that a Deployment was made for."""
    notes = (deployment or {"metadata": {}})["metadata"].get("annotations", {})
    version = parse_uri(
        notes.get(MODEL_URI_ANNOTATION, ""),
        digest=notes.get(MODEL_DIGEST_ANNOTATION),
        training_job=notes.get(TRAINING_JOB_ANNOTATION),
    )
    if isinstance(version, Blocker):
        return None
    return replace(
        version,
        training_job_uid=notes.get(TRAINING_JOB_UID_ANNOTATION),
        trained=notes.get(TRAINED_ANNOTATION),
        selector=notes.get(SELECTOR_ANNOTATION),
        metrics=_metrics(notes.get(METRICS_ANNOTATION, "")),
    )


def annotations(model: ModelVersion) -> dict[str, str]:
    """Return the annotations of a Deployment that say which model version it was made for."""
    found = {
        MODEL_URI_ANNOTATION: model.uri,
        MODEL_DIGEST_ANNOTATION: model.digest,
        TRAINING_JOB_ANNOTATION: model.training_job,
        TRAINING_JOB_UID_ANNOTATION: model.training_job_uid,
        TRAINED_ANNOTATION: model.trained,
        SELECTOR_ANNOTATION: model.selector,
        METRICS_ANNOTATION: json.dumps(dict(model.metrics), sort_keys=True) if model.metrics else None,
    }
    return {key: value for key, value in found.items() if value}


def offer(job: Manifest, selector: str | None = None) -> ModelVersion | None:
    """Return the model version a TrainingJob offers, once it succeeded; while it trains again, that of before."""
    status = _status(job)
    if status.model is None or not (status.run or is_true(status.conditions, "Succeeded")):
        return None
    metadata = job["metadata"]
    version = parse_uri(status.model.uri, digest=status.model.digest, training_job=metadata["name"])
    if isinstance(version, Blocker):
        return None
    trained = _trained(status) or metadata["creationTimestamp"]
    return replace(
        version, training_job_uid=metadata["uid"], trained=trained, selector=selector, metrics=status.model.metrics
    )


def offers(jobs: Sequence[Manifest], selector: str | None = None) -> list[ModelVersion]:
    """Return what TrainingJobs offer; the model that was trained last comes first."""
    return [model for job in sorted(jobs, key=_age, reverse=True) if (model := offer(job, selector))]


def is_kept(last: ModelVersion, candidate: ModelVersion | None, *, gone: bool) -> bool:
    """Return whether to stay with the version that was last served rather than take the newest offer.

    What serves is never taken away for want of an offer; and a TrainingJob that is deleted once it is done (`gone`)
    does not take its model along, which would roll the service back to the one before. Another selector is another
    wish, though.
    """
    if candidate is None:
        return True
    same_selector = last.selector is None or last.selector == candidate.selector
    return gone and same_selector and not candidate.is_newer_than(last)


def pinned(number: int, offers: Sequence[ModelVersion], held: Held, selector: str) -> ModelVersion | None:
    """Return the version of this number: the one that is served or comes up, else the newest, else one of before.

    What a number is pinned to must not move, whatever else gets the same number later; but another selector is another
    wish.
    """
    own = [version for version in held.versions if version.selector in (None, selector)]
    former = [version for version in held.former if version.selector in (None, selector)]
    return next((version for version in (*own, *offers, *former) if version.version == number), None)


def selector_text(labels: Mapping[str, str]) -> str:
    """Return labels as people read them."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def waiting(
    jobs: Sequence[Manifest], labels: Mapping[str, str], namespace: str, others: Sequence[Manifest] = ()
) -> Blocker:
    """Return what is being waited for as long as no TrainingJob offers a model.

    Args:
        jobs: Those that the selector finds.
        others: Where it finds none, all that there are.
    """
    selector = selector_text(labels)
    if not jobs:
        return Blocker(
            "NoTrainingJob",
            f"no TrainingJob in namespace {namespace!r} has the labels {selector}{_instead(selector, others)}; "
            "create one, or change spec.model.fromTraining.selector",
        )
    job = max(jobs, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))
    name, status = job["metadata"]["name"], _status(job)
    if status.phase == "Failed":
        reason = f" ({status.failure.reason})" if status.failure else ""
        return Blocker("TrainingFailed", f"TrainingJob {name!r} failed{reason}, and no other with {selector} succeeded")
    return Blocker("WaitingForTraining", f"TrainingJob {name!r} is {status.phase}; its model will be served")


def _instead(selector: str, jobs: Sequence[Manifest]) -> str:
    """Return which labels there are: those that are probably meant, and those of the newest jobs."""
    newest = sorted(jobs, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]), reverse=True)
    labelled = {
        job["metadata"]["name"]: selector_text(job["metadata"].get("labels") or {})[:_MOST_LABELS]
        for job in newest[:_MOST_COMPARED]
    }
    if not labelled:
        return ", and there is no other"
    shown = listed((f"{name} ({text or 'no labels'})" for name, text in labelled.items()), limit=3)
    return f"{did_you_mean(selector, filter(None, labelled.values()))}; there is {shown}"


def _metrics(text: str) -> dict[str, str]:
    """Read an annotation that anybody may have changed."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _trained(status: TrainingJobStatus) -> str | None:
    """Return when the model was trained: jobs that reuse versions complete in any order."""
    completed, created = status.completion_time, status.model.created if status.model else None
    # The trainer says when, and nothing it says makes a model newer.
    return min(completed, created) if completed and created else (completed or created)


def _age(job: Manifest) -> tuple[str, str, str]:
    # RFC 3339 in UTC and whole seconds sorts as text.
    metadata = job["metadata"]
    return _trained(_status(job)) or "", metadata["creationTimestamp"], metadata["name"]


def _status(job: Manifest) -> TrainingJobStatus:
    try:
        return TrainingJobStatus.model_validate(job.get("status") or {})
    except ValidationError:
        # Written by another version of the operator, which will have offered something we cannot read.
        return TrainingJobStatus()
