"""Judging an object before it is stored: its metadata, its schema, and the rules of its kind."""

from collections.abc import Iterator

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.errors import FieldError
from trainyard_devcluster.apiserver.metadata import name_rule, validate_metadata, validate_metadata_update
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.rules import broken_rules
from trainyard_devcluster.apiserver.schema.node import MISSING
from trainyard_devcluster.apiserver.schema.validate import validate
from trainyard_devcluster.apiserver.values import Object


def check(resource: Resource, new: Object, old: Object | None = None, *, status_only: bool = False) -> None:
    """Refuse an object that breaks a rule, or a change that does.

    Raises:
        ApiError: 422, with everything that is wrong.
    """
    found = list(_problems(resource, new, old, status_only=status_only))
    if found:
        raise errors.invalid(resource.kind, resource.group, new["metadata"].get("name", ""), found)


def _problems(resource: Resource, new: Object, old: Object | None, *, status_only: bool) -> Iterator[FieldError]:
    yield from validate_metadata(new["metadata"], name_rule(resource.group, resource.kind))
    if old is not None:
        yield from validate_metadata_update(new["metadata"], old["metadata"])
    if resource.custom:
        yield from _custom_problems(resource, new, old)
    elif not status_only:
        yield from _builtin_problems(resource, new, old)


def _builtin_problems(resource: Resource, new: Object, old: Object | None) -> Iterator[FieldError]:
    # The status is the controllers' business; its types were checked when it was decoded.
    view = {key: value for key, value in resource.view(new).items() if key != "status"}
    yield from validate(view, resource.schema)
    yield from resource.behaviour.validate(new)
    if old is not None:
        yield from resource.behaviour.validate_update(new, old)


def _custom_problems(resource: Resource, new: Object, old: Object | None) -> Iterator[FieldError]:
    view, before = resource.view(new), resource.view(old) if old else None
    found = list(validate(view, resource.schema, old=MISSING if before is None else before))
    yield from found
    yield from broken_rules(view, before, resource.schema, found)
