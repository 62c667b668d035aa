"""Reads a resource off the wire. The API server has checked it; an older CRD may have checked less."""

import logging
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainyard_api.forms import NAME_LENGTH
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.blockers import (
    INVALID_NAME,
    INVALID_SPEC,
    Blocker,
    Unbuildable,
    of_refusal,
    spec_errors,
)
from trainyard_operator.workloads.identity import is_name
from trainyard_operator.workloads.text import clean

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
        with spec_errors():
            return _validated(resource, {key: value for key, value in manifest.items() if key != "status"})
    except Unbuildable as error:
        return of_refusal(error, "")


def _validated(resource: type[_Resource], manifest: Manifest) -> _Resource | Blocker:
    try:
        return resource.model_validate(manifest)
    except ValidationError as error:
        faults = error.errors(include_url=False)[:5]
        return Blocker(INVALID_SPEC, "; ".join(map(_in_words, faults)))


def _in_words(fault: ErrorDetails) -> str:
    path = ".".join(str(part) for part in fault["loc"])
    return clean(f"{path}: {fault['msg'].lower()}, got {fault['input']!r}", 300)


def parse_status_as(status: type[_Status], manifest: Manifest) -> _Status:
    """Return the recorded status; one that nobody can read counts as none."""
    try:
        return status.model_validate(manifest.get("status") or {})
    except ValidationError as error:
        logger.warning("The status of %s is unreadable: %s", manifest["metadata"]["name"], error)
        return status()
