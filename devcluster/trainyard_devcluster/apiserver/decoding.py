"""From a request's body to an object as its kind's schema knows it, with defaults."""

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.body import Body
from trainyard_devcluster.apiserver.request import WriteOptions
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.schema.decode import decode
from trainyard_devcluster.apiserver.schema.defaulting import apply_defaults
from trainyard_devcluster.apiserver.values import Object


def decode_body(resource: Resource, body: Body, options: WriteOptions) -> Object:
    """Return the object in a body, in its stored form.

    Raises:
        ApiError: 400, it is of another kind, has wrong types or (in strict mode) unknown or duplicate fields.
    """
    obj = _typed(resource, body.value)
    cannot = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
    try:
        decoded = decode(obj, resource.schema)
    except errors.ApiError as error:
        raise errors.bad_request(f"{cannot}: {error}") from error
    problems = [f'duplicate field "{name}"' for name in body.duplicates]
    unknown = sorted(decoded.unknown) if resource.custom else decoded.unknown
    problems += [f'unknown field "{path}"' for path in unknown]
    if problems and options.validation == "Strict":
        raise errors.bad_request(f"{cannot}: strict decoding error: {', '.join(problems)}")
    if options.validation == "Warn":
        options.warnings += problems
    return completed(resource, decoded.value)


def completed(resource: Resource, obj: Object) -> Object:
    """Fill in defaults, in place, and return the object in its stored form."""
    obj.setdefault("metadata", {})
    if resource.custom:
        apply_defaults(obj, resource.schema)
    if resource.convert_back:
        obj = resource.convert_back(obj)
    resource.behaviour.default(obj)
    return obj


def _typed(resource: Resource, value: object) -> Object:
    if not isinstance(value, dict):
        raise errors.bad_request("the object provided is unrecognized (must be an object)")
    version, kind = value.get("apiVersion"), value.get("kind")
    if version != resource.api_version and (version or resource.custom):
        expected = f"does not match the expected API version ({resource.api_version})"
        raise errors.bad_request(f"the API version in the data ({version or ''}) {expected}")
    if kind and kind != resource.kind:
        if resource.custom:
            wrong = errors.invalid_value("kind", kind, f"must be {resource.kind}")
            raise errors.invalid(kind, resource.group, (value.get("metadata") or {}).get("name") or "", [wrong])
        raise errors.bad_request(f"the kind in the data ({kind}) does not match the expected kind ({resource.kind})")
    if not isinstance(value.get("metadata") or {}, dict):
        raise errors.bad_request("metadata must be an object")
    return value | {"apiVersion": resource.api_version, "kind": resource.kind}
