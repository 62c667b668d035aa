"""PATCH requests: by their content type, to the writer."""

from dataclasses import dataclass

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.body import Body
from trainyard_devcluster.apiserver.decoding import decode_body
from trainyard_devcluster.apiserver.patch.simple import json_patch, merge_patch
from trainyard_devcluster.apiserver.patch.strategic import strategic_merge
from trainyard_devcluster.apiserver.patch.typed import check_declared, without_nulls
from trainyard_devcluster.apiserver.request import WriteOptions
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.values import Object
from trainyard_devcluster.apiserver.writer import Writer

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Patched:
    """An object after a patch, and whether the patch made it."""

    obj: Object
    created: bool = False


def patched_value(resource: Resource, kind: str, current: Object, body: Body) -> Object:
    """Return an object after a patch of any kind but apply, not yet checked.

    Raises:
        ApiError: 400, 415 or 422.
    """
    match kind:
        case "application/json-patch+json":
            return json_patch(current, body.value)
        case "application/merge-patch+json":
            merged: Object = merge_patch(current, _mapping(body))
            return merged
        case "application/strategic-merge-patch+json" if not resource.custom:
            return strategic_merge(current, _mapping(body), resource.schema)
    accepted = (
        [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
        if resource.custom
        else [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH]
    )
    raise errors.unsupported_media_type(kind, accepted)


def _mapping(body: Body) -> Object:
    if not isinstance(body.value, dict):
        raise errors.bad_request("error decoding patch: expected an object")
    return body.value


def patch(
    writer: Writer, resource: Resource, namespace: str, name: str, kind: str, body: Body, options: WriteOptions
) -> Patched:
    """Carry out a patch of an object or of its status.

    Raises:
        ApiError: as the writer's update and apply.
    """
    if kind == APPLY_PATCH:
        return _apply(writer, resource, namespace, name, body, options)
    old = writer.stored(resource, namespace, name).obj
    changed = patched_value(resource, kind, resource.view(old), body)
    new = decode_body(resource, Body(changed, body.duplicates), options)
    if new["metadata"].get("name") != name:
        raise errors.wrong_name(new["metadata"].get("name"), name)
    return Patched(writer.update(resource, old, new, options))


def _apply(writer: Writer, resource: Resource, namespace: str, name: str, body: Body, options: WriteOptions) -> Patched:
    config = _mapping(body)
    metadata = config.get("metadata") or {}
    if config.get("apiVersion") != resource.api_version or config.get("kind") != resource.kind:
        found = f"{config.get('apiVersion')}, Kind={config.get('kind')}"
        raise errors.bad_request(
            f"incorrect version specified in apply patch. Specified patch version: {found}, "
            f"expected: {resource.api_version}, Kind={resource.kind}"
        )
    if metadata.get("name", name) != name:
        raise errors.wrong_name(metadata["name"], name)
    if metadata.get("namespace", namespace) != namespace:
        raise errors.wrong_namespace()
    if metadata.get("managedFields") is not None:
        raise errors.bad_request("metadata.managedFields must be nil")
    if body.duplicates and options.validation == "Strict":
        listed = ", ".join(f'duplicate field "{each}"' for each in body.duplicates)
        raise errors.bad_request(f"error decoding patch: strict decoding error: {listed}")
    config = without_nulls(
        config | {"metadata": metadata | {"name": name} | ({"namespace": namespace} if namespace else {})}
    )
    subject = f"{metadata.get('namespace', '')}/{name}; {resource.api_version}, Kind={resource.kind}"
    check_declared(config, resource.schema, subject)
    obj, created = writer.apply(resource, namespace, name, config, options)
    return Patched(obj, created)
