"""Reads a TrainingJob off the wire. The API server has checked it; an older CRD may have checked less."""

import logging

from pydantic import ValidationError

from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.blockers import Problem

logger = logging.getLogger(__name__)


def parse(manifest: Manifest, status: TrainingJobStatus) -> TrainingJob | Problem:
    """Return the resource with this status, or what is wrong with its spec, in the words of its fields."""
    if problem := naming_problem(manifest):
        return problem
    try:
        job = TrainingJob.model_validate({key: each for key, each in manifest.items() if key != "status"})
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg'].lower()}, got {fault['input']!r}"[:300]
            for fault in error.errors(include_url=False)
        ]
        return Problem("InvalidSpec", "; ".join(faults[:5]) + "; create the job anew with a spec that is right")
    if problem := _contradiction(job):
        return problem
    return job.model_copy(update={"status": status})


def naming_problem(manifest: Manifest) -> Problem | None:
    """Return what is wrong with the name, from which others are made."""
    fault = identity.naming_problem(manifest["metadata"]["name"])
    return Problem("InvalidName", fault) if fault else None


def _contradiction(job: TrainingJob) -> Problem | None:
    """Return which of the rules across fields is broken that only the API server enforces."""
    program, source = job.spec.program, job.spec.data.source
    if sum(each is not None for each in (program.keras, program.python, program.container)) != 1:
        return Problem("InvalidSpec", "spec.program: set exactly one of keras, python and container")
    if sum(each is not None for each in (source.uri, source.config_map, source.persistent_volume_claim)) != 1:
        return Problem("InvalidSpec", "spec.data.source: set exactly one of uri, configMap and persistentVolumeClaim")
    store = job.spec.output.store
    if (store.uri is None) == (store.persistent_volume_claim is None):
        return Problem("InvalidSpec", "spec.output.store: set exactly one of uri and persistentVolumeClaim")
    return None


def parse_status(manifest: Manifest) -> TrainingJobStatus:
    """Return the recorded status; one that nobody can read counts as none."""
    try:
        return TrainingJobStatus.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        logger.warning("The status of %s is unreadable: %s", manifest["metadata"]["name"], error)
        return TrainingJobStatus()
