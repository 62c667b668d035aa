"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386)."""

import jsonpatch
from jsonpointer import JsonPointerException

from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.values import Json, Object, clone


def json_patch(obj: Object, patch: Json) -> Object:
    """Return the object after a JSON patch.

    Raises:
        ApiError: 400, the body is no JSON patch; 422, an operation of it cannot be done or a test failed.
    """
    try:
        patched: Object = jsonpatch.apply_patch(clone(obj), patch)
    except (jsonpatch.InvalidJsonPatch, TypeError) as error:
        raise ApiError(400, "BadRequest", f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, JsonPointerException) as error:
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request") from error
    return patched


def merge_patch(value: Json, patch: Json) -> Json:
    """Return the value after a JSON merge patch; what did not change is shared with the given value."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), change)
    return merged
