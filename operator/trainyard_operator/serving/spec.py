"""Reads a ModelService off the wire."""

from trainyard_api.modelservice import ModelService, ModelServiceStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.blockers import INVALID_SPEC, Blocker
from trainyard_operator.workloads.spec import parse_as, parse_status_as


def parse(manifest: Manifest) -> ModelService | Blocker:
    """Return the resource without its status, or what is wrong with its spec, in the words of its fields."""
    service = parse_as(ModelService, manifest, children="a Service and its Deployments")
    if isinstance(service, Blocker):
        return service
    if (service.spec.model.from_training is None) == (service.spec.model.uri is None):
        return Blocker(INVALID_SPEC, "spec.model: set exactly one of fromTraining and uri")
    return service


def parse_status(manifest: Manifest) -> ModelServiceStatus:
    """Return the recorded status; one that nobody can read counts as none."""
    return parse_status_as(ModelServiceStatus, manifest)
