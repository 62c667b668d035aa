"""Reads a TrainingJob off the wire."""

from dataclasses import replace

from pydantic import ValidationError

from trainyard_api.names import CONTROLLER
from trainyard_api.run_policy import RunPolicy
from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import cron
from trainyard_operator.workloads.blockers import INVALID_SPEC, Blocker
from trainyard_operator.workloads.spec import parse_as, parse_status_as


def is_anothers(manifest: Manifest) -> bool:
    """Return whether another controller runs the training: its children and its status are not ours to write."""
    return bool(manifest["spec"].get("managedBy", CONTROLLER) != CONTROLLER)


def parse(manifest: Manifest, status: TrainingJobStatus) -> TrainingJob | Blocker:
    """Return the resource with this status, or what is wrong with its spec, in the words of its fields."""
    job = parse_as(TrainingJob, manifest, children="its pods and its Service")
    if isinstance(job, Blocker):
        advice = "; create the job anew with a spec that is right" if job.reason == INVALID_SPEC else ""
        return replace(job, message=job.message + advice)
    return _contradiction(job) or job.model_copy(update={"status": status})


def _contradiction(job: TrainingJob) -> Blocker | None:
    """Return which of the rules across fields is broken that only the API server enforces, or that it cannot know."""
    if schedule := job.spec.run_policy.schedule:
        try:
            cron.parse(schedule.cron, schedule.time_zone)
        except ValueError as error:
            return Blocker(INVALID_SPEC, f"spec.runPolicy.schedule: {error}")
    program, source = job.spec.program, job.spec.data.source
    if sum(choice is not None for choice in (program.keras, program.python, program.container, program.predict)) != 1:
        return Blocker(INVALID_SPEC, "spec.program: set exactly one of keras, python, container and predict")
    if sum(choice is not None for choice in (source.uri, source.config_map, source.persistent_volume_claim)) != 1:
        return Blocker(INVALID_SPEC, "spec.data.source: set exactly one of uri, configMap and persistentVolumeClaim")
    size, workers = job.spec.fit.batch_size, job.spec.roles.worker.replicas
    in_step = job.spec.roles.strategy() == "MultiWorkerMirrored" and program.container is None
    if in_step and isinstance(size, int) and size < workers:
        return Blocker(
            INVALID_SPEC,
            f"spec.fit.batchSize is {size}, less than a row for each of {workers} workers: it counts the rows of all "
            "together; make it larger, or use fewer workers",
        )
    store = job.spec.output.store
    if (store.uri is None) == (store.persistent_volume_claim is None):
        return Blocker(INVALID_SPEC, "spec.output.store: set exactly one of uri and persistentVolumeClaim")
    return None


def parse_status(manifest: Manifest) -> TrainingJobStatus:
    """Return the recorded status; one that nobody can read counts as none."""
    return parse_status_as(TrainingJobStatus, manifest)


def parse_run_policy(manifest: Manifest) -> RunPolicy:
    """Return the run policy of a training that has ended; the rest of its spec, even if it is wrong now, is history."""
    try:
        return RunPolicy.model_validate(manifest["spec"].get("runPolicy") or {})
    except ValidationError:
        return RunPolicy()
