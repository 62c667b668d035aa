"""Reads a ModelService off the wire. The API server has checked it; an older CRD may have checked less."""

import logging

from pydantic import ValidationError

from trainyard_api.modelservice import ModelService, ModelServiceStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.serving.blockers import Problem

logger = logging.getLogger(__name__)


def parse(manifest: Manifest) -> ModelService | Problem:
    """Return the resource without its status, or what is wrong with its spec, in the words of its fields."""
    if fault := identity.naming_problem(manifest["metadata"]["name"]):
        return Problem("InvalidName", fault)
    try:
        service = ModelService.model_validate({key: each for key, each in manifest.items() if key != "status"})
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg'].lower()}, got {fault['input']!r}"[:300]
            for fault in error.errors(include_url=False)
        ]
        return Problem("InvalidSpec", "; ".join(faults[:5]))
    if (service.spec.model.from_training is None) == (service.spec.model.uri is None):
        return Problem("InvalidSpec", "spec.model: set exactly one of fromTraining and uri")
    return service


def parse_status(manifest: Manifest) -> ModelServiceStatus:
    """Return the recorded status; one that nobody can read counts as none."""
    try:
        return ModelServiceStatus.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        logger.warning("The status of %s is unreadable: %s", manifest["metadata"]["name"], error)
        return ModelServiceStatus()
