"""Strategic merge patch: a merge patch in which lists merge by the keys that the schema names.

Directives: `$patch: replace|delete|merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`,
`$retainKeys`. Source: sig-api-machinery's strategic-merge-patch.md.
"""

from trainyard_devcluster.apiserver.errors import bad_request
from trainyard_devcluster.apiserver.schema.node import ANYTHING, Schema
from trainyard_devcluster.apiserver.values import Json, Object

_DELETE, _ORDER, _RETAIN, _PATCH = "$deleteFromPrimitiveList/", "$setElementOrder/", "$retainKeys", "$patch"


def strategic_merge(value: Object, patch: Object, schema: Schema) -> Object:
    """Return the object after a strategic merge patch.

    Raises:
        ApiError: 400, a directive is unknown or an item of a keyed list lacks its key.
    """
    directive = patch.get(_PATCH)
    if directive == "replace":
        replacement: Object = _plain(patch)
        return replacement
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown patch type '{directive}' in map")
    merged = dict(value)
    if _RETAIN in patch:
        merged = {key: item for key, item in merged.items() if key in patch[_RETAIN]}
    for key, change in patch.items():
        if not key.startswith("$"):
            _merge_field(merged, key, change, schema)
    for key, change in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            merged[field] = [item for item in merged.get(field) or () if item not in change]
        elif key.startswith(_ORDER):
            _order(merged, key.removeprefix(_ORDER), change, schema)
    return merged


def _merge_field(merged: Object, key: str, change: Json, schema: Schema) -> None:
    child = schema.field(key) or ANYTHING
    current = merged.get(key)
    if change is None:
        merged.pop(key, None)
    elif isinstance(change, dict):
        if change.get(_PATCH) == "delete":
            merged.pop(key, None)
        elif "retainKeys" in child.strategies and _RETAIN not in change and not isinstance(current, dict):
            merged[key] = _plain(change)
        else:
            merged[key] = strategic_merge(current if isinstance(current, dict) else {}, change, child)
    elif isinstance(change, list) and "merge" in child.strategies:
        merged[key] = _merge_list(current or [], change, child)
    else:
        merged[key] = _plain(change)


def _merge_list(current: list[Json], patch: list[Json], schema: Schema) -> list[Json]:
    key = schema.merge_key
    if not key:
        return current + [item for item in patch if item not in current]
    if any(isinstance(item, dict) and item.get(_PATCH) == "replace" for item in patch):
        return [_plain(item) for item in patch if item.get(_PATCH) != "replace"]
    merged = list(current)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        index = next((i for i, old in enumerate(merged) if old.get(key) == item[key]), None)
        if item.get(_PATCH) == "delete":
            merged = [old for old in merged if old.get(key) != item[key]]
        elif index is None:
            merged.append(_plain(item))
        else:
            merged[index] = strategic_merge(merged[index], item, schema.item())
    return merged


def _order(merged: Object, field: str, order: list[Json], schema: Schema) -> None:
    """Bring items into the patch's order; those it does not mention keep their place after their predecessor."""
    items = merged.get(field)
    if not items:
        return
    key = (schema.field(field) or ANYTHING).merge_key
    rank = {_identity(item, key): index for index, item in enumerate(order)}
    last = -1
    keyed = []
    for position, item in enumerate(items):
        last = rank.get(_identity(item, key), last)
        keyed.append((last, position, item))
    merged[field] = [item for _, _, item in sorted(keyed, key=lambda each: each[:2])]


def _identity(item: Json, key: str) -> str:
    return repr(item.get(key) if key and isinstance(item, dict) else item)


def _plain(value: Json) -> Json:
    """Return a value without directives and nulls, as it stands where nothing was before."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not key.startswith("$") and item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and item.get(_PATCH) == "delete")]
    return value
