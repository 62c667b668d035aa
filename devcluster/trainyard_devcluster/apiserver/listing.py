"""Lists: selection, resource versions, and pages."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.request import number
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.selectors import (
    FieldSelector,
    LabelSelector,
    parse_field_selector,
    parse_label_selector,
)
from trainyard_devcluster.apiserver.store import Key, Store, Stored
from trainyard_devcluster.apiserver.values import Object


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a resource a request is about."""

    resource: Resource
    namespace: str = ""
    labels: LabelSelector = field(default_factory=LabelSelector)
    fields: FieldSelector = field(default_factory=FieldSelector)

    @classmethod
    def of(cls, resource: Resource, namespace: str, name: str, query: Mapping[str, str]) -> "Selection":
        """Return the selection that a query describes.

        Raises:
            ApiError: 400, a selector is none.
        """
        fields = parse_field_selector(query.get("fieldSelector", ""), resource.selectable)
        if name:
            fields = FieldSelector((*fields.terms, ("metadata.name", True, name)))
        return cls(resource, namespace, parse_label_selector(query.get("labelSelector", "")), fields)

    @property
    def everything(self) -> bool:
        """Whether no selector is set."""
        return not self.labels.requirements and not self.fields.terms

    def takes(self, key: Key, obj: Object) -> bool:
        """Return whether an object is selected."""
        if self.namespace and key[0] != self.namespace:
            return False
        return self.everything or (
            self.labels.matches(obj["metadata"].get("labels") or {}) and self.fields.matches(self.resource.view(obj))
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A list, or a part of one."""

    items: list[Stored]
    metadata: Object


def list_page(store: Store, selection: Selection, query: Mapping[str, str]) -> Page:
    """Return what a list request asks for.

    Raises:
        ApiError: 400 or 422, the parameters contradict each other; 410, the version is forgotten; 504, it is not yet.
    """
    _check_match(query)
    table = store.table(selection.resource.storage)
    limit, token = number(query, "limit") or 0, query.get("continue", "")
    start: Key | None = None
    revision, objects = store.revision, table.objects
    if token:
        revision, start = _parse_token(token)
        objects = table.at(revision)
    elif (wanted := number(query, "resourceVersion")) and wanted > 0:
        if wanted > revision:
            raise errors.too_large_resource_version(wanted, revision)
        if query.get("resourceVersionMatch") == "Exact":
            revision, objects = wanted, table.at(wanted)
    if not limit and start is None:
        found = [stored for key, stored in sorted(objects.items()) if selection.takes(key, stored.obj)]
        return Page(found, {"resourceVersion": str(revision)})
    return _page(objects, selection, revision, start, limit)


def _page(objects: Mapping[Key, Stored], selection: Selection, revision: int, start: Key | None, limit: int) -> Page:
    keys = [key for key in sorted(objects) if start is None or key > start]
    found: list[Stored] = []
    for position, key in enumerate(keys):
        if not selection.takes(key, objects[key].obj):
            continue
        if limit and len(found) == limit:
            last = found[-1].obj["metadata"]
            metadata = {
                "resourceVersion": str(revision),
                "continue": _token(revision, (last.get("namespace", ""), last["name"])),
            }
            if selection.everything:
                left = sum(not selection.namespace or each[0] == selection.namespace for each in keys[position:])
                metadata["remainingItemCount"] = left  # type: ignore[assignment]
            return Page(found, metadata)
        found.append(objects[key])
    return Page(found, {"resourceVersion": str(revision)})


def _token(revision: int, last: Key) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": list(last)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_token(token: str) -> tuple[int, Key]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = content["start"]
        return int(content["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise errors.bad_request("continue key is not valid") from None


def _check_match(query: Mapping[str, str]) -> None:
    match = query.get("resourceVersionMatch", "")
    if not match:
        return
    field = "resourceVersionMatch"
    if match not in ("Exact", "NotOlderThan"):
        problem = errors.not_supported(field, match, ["Exact", "NotOlderThan", ""])
    elif not query.get("resourceVersion") and not query.get("sendInitialEvents"):
        problem = errors.forbidden_field(field, "resourceVersionMatch is forbidden unless resourceVersion is provided")
    elif query.get("continue"):
        problem = errors.forbidden_field(field, "resourceVersionMatch is forbidden when continue is provided")
    elif match == "Exact" and query.get("resourceVersion") == "0":
        problem = errors.forbidden_field(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
    else:
        return
    raise errors.invalid("ListOptions", "meta.k8s.io", "", [problem])
