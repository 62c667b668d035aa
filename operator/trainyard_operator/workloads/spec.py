"""Reads a resource off the wire. The API server has checked it; an older CRD may have checked less."""

import logging
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from trainyard_api.meta import NAME_LENGTH
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.blockers import INVALID_NAME, INVALID_SPEC, Blocker
from trainyard_operator.workloads.identity import is_name

logger = logging.getLogger(__name__)

_Resource = TypeVar("_Resource", bound=BaseModel)
_Status = TypeVar("_Status", bound=BaseModel)


def parse_as(resource: type[_Resource], manifest: Manifest, *, children: str) -> _Resource | Blocker:
    """Return the resource without its status, or what is wrong with its spec, in the words of its fields.

    Args:
        children: What gets its name from the resource, for example `a Service and its Deployments`.
    """
    name = manifest["metadata"]["name"]
    if not is_name(name):
        return Blocker(
            INVALID_NAME,
            f"metadata.name must be at most {NAME_LENGTH} lower case letters, digits and hyphens, starting with a "
            f"letter, because it names {children}; got {name!r} ({len(name)} characters)",
        )
    try:
        return resource.model_validate({key: value for key, value in manifest.items() if key != "status"})
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg'].lower()}, got {fault['input']!r}"[:300]
            for fault in error.errors(include_url=False)
        ]
        return Blocker(INVALID_SPEC, "; ".join(faults[:5]))


def parse_status_as(status: type[_Status], manifest: Manifest) -> _Status:
    """Return the recorded status; one that nobody can read counts as none."""
    try:
        return status.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        logger.warning("The status of %s is unreadable: %s", manifest["metadata"]["name"], error)
        return status()
