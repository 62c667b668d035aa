"""The scale subresource: a view of three fields of an object."""

from trainyard_devcluster.apiserver.errors import bad_request, invalid, invalid_value
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.selectors import format_selector
from trainyard_devcluster.apiserver.values import Object, clone, dig


def scale_of(resource: Resource, obj: Object) -> Object:
    """Return an object's Scale."""
    paths = resource.scale
    assert paths is not None
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {key: obj["metadata"][key] for key in kept if key in obj["metadata"]}
    selector = dig(obj, *paths.selector) if paths.selector else None
    shown = selector if isinstance(selector, str) else format_selector(selector)
    return {
        "kind": "Scale",
        "apiVersion": paths.version,
        "metadata": metadata,
        "spec": {"replicas": dig(obj, *paths.spec_replicas) or 0},
        "status": {"replicas": dig(obj, *paths.status_replicas) or 0} | ({"selector": shown} if shown else {}),
    }


def with_scale(resource: Resource, obj: Object, scale: Object) -> Object:
    """Return an object with the number of replicas that a Scale wants.

    Raises:
        ApiError: 400 or 422, the Scale names no number, or a negative one.
    """
    assert resource.scale is not None
    replicas = dig(scale, "spec", "replicas")
    if replicas is None:
        replicas = 0
    if not isinstance(replicas, int):
        raise bad_request("json: cannot unmarshal into Go struct field ScaleSpec.spec.replicas of type int32")
    if replicas < 0:
        problem = invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid("Scale", "autoscaling", obj["metadata"]["name"], [problem])
    changed: Object = clone(obj)
    *parents, last = resource.scale.spec_replicas
    at = changed
    for key in parents:
        at = at.setdefault(key, {})
    at[last] = replicas
    version = dig(scale, "metadata", "resourceVersion")
    if version:
        changed["metadata"]["resourceVersion"] = version
    return changed
