"""Rules on `metadata` that hold for every kind."""

import re
from collections.abc import Callable, Iterator

from trainyard_devcluster.apiserver.errors import FieldError, forbidden_field, invalid_value, required
from trainyard_devcluster.apiserver.values import Json, Object

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_SERVICE_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)

NameRule = Callable[[str], str]
"""Returns what is wrong with a name, "" where nothing is."""


def dns_subdomain(name: str) -> str:
    """Most kinds' names."""
    if len(name) > 253:
        return "must be no more than 253 characters"
    return "" if _SUBDOMAIN.fullmatch(name) else SUBDOMAIN_RULE


def dns_label(name: str) -> str:
    """Names of namespaces, and of ports and containers inside pods."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    return "" if _LABEL.fullmatch(name) else LABEL_RULE


def dns_1035_label(name: str) -> str:
    """Names of services."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    return "" if re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) else _SERVICE_RULE


def path_segment(name: str) -> str:
    """Names of roles and bindings: whatever can stand in a path."""
    if name in (".", ".."):
        return f"may not be '{name}'"
    bad = next((part for part in ("/", "%") if part in name), None)
    return f"may not contain '{bad}'" if bad else ""


def name_rule(group: str, kind: str) -> NameRule:
    """Return the rule for the names of a kind."""
    if group == "rbac.authorization.k8s.io":
        return path_segment
    return {"Namespace": dns_label, "Service": dns_1035_label}.get(kind, dns_subdomain)


def validate_metadata(metadata: Object, rule: NameRule) -> Iterator[FieldError]:
    """Yield what is wrong with an object's name, labels, annotations, finalizers and owners."""
    name = metadata.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif problem := rule(name):
        yield invalid_value("metadata.name", name, problem)
    yield from validate_labels(metadata.get("labels"), "metadata.labels")
    for key in metadata.get("annotations") or ():
        if problem := _qualified_name(key.lower()):
            yield invalid_value("metadata.annotations", key, problem)
    if sum(len(key) + len(value) for key, value in (metadata.get("annotations") or {}).items()) > 262144:
        yield FieldError("FieldValueTooLong", "metadata.annotations", "Too long: may not be more than 262144 bytes")
    for index, each in enumerate(metadata.get("finalizers") or ()):
        if problem := _qualified_name(each):
            yield invalid_value(f"metadata.finalizers[{index}]", each, problem)
    yield from _validate_owners(metadata.get("ownerReferences") or ())


def _validate_owners(owners: Json) -> Iterator[FieldError]:
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield invalid_value(f"metadata.ownerReferences.{field}", "", "must not be empty")
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        names = "Only one reference can have Controller set to true. Found more than one"
        yield invalid_value("metadata.ownerReferences", [owner.get("name") for owner in owners], names)


def validate_labels(labels: Json, field: str) -> Iterator[FieldError]:
    """Yield what is wrong with a map of labels."""
    for key, value in (labels or {}).items():
        if problem := _qualified_name(key):
            yield invalid_value(field, key, problem)
        if len(value) > 63:
            yield invalid_value(field, value, "must be no more than 63 bytes")
        elif not _VALUE.fullmatch(value):
            yield invalid_value(field, value, _VALUE_RULE)


def _qualified_name(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        return f"prefix part {SUBDOMAIN_RULE}"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    return "" if _QUALIFIED.fullmatch(name) else _QUALIFIED_RULE


def validate_metadata_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes of `metadata` that nobody may make."""
    for field in ("name", "namespace", "uid"):
        if new.get(field) != old.get(field):
            yield invalid_value(f"metadata.{field}", new.get(field), "field is immutable")
    if old.get("deletionTimestamp"):
        added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if added:
            listed = " ".join(f'"{each}"' for each in added)
            why = "no new finalizers can be added if the object is being deleted, found new finalizers"
            yield forbidden_field("metadata.finalizers", f"{why} []string{{{listed.replace(' ', ', ')}}}")
