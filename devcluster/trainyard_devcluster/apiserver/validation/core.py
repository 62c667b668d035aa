"""Rules on services, configuration and storage."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator

from trainyard_devcluster.apiserver.errors import (
    FieldError,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from trainyard_devcluster.apiserver.metadata import dns_label
from trainyard_devcluster.apiserver.validation.common import port_error, quantity_errors, unchanged
from trainyard_devcluster.apiserver.values import Json, Object, dig

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_SIZE_LIMIT = 1024 * 1024


def validate_service(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a service."""
    spec = obj["spec"]
    kind, ports = spec.get("type"), spec.get("ports") or ()
    if kind not in _TYPES:
        yield not_supported("spec.type", kind, _TYPES)
    if not ports and kind != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    if kind == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    address = spec.get("clusterIP", "")
    if address not in ("", "None") and not _is_address(address):
        yield invalid_value(
            "spec.clusterIPs[0]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        )
    yield from _validate_ports(ports)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _validate_ports(ports: Json) -> Iterator[FieldError]:
    names: set[str] = set()
    numbers: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            yield required(f"{path}.name")
        elif name and (problem := dns_label(name)):
            yield invalid_value(f"{path}.name", name, problem)
        elif name and name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)
        yield from port_error(port.get("port"), f"{path}.port")
        if isinstance(port.get("targetPort"), int):
            yield from port_error(port["targetPort"], f"{path}.targetPort")
        number = (port.get("port"), port.get("protocol"))
        if number in numbers:
            yield duplicate(path, {"protocol": number[1], "port": number[0]})
        numbers.add(number)


def service_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes that a service does not allow."""
    before, after = dig(old, "spec", "clusterIP"), dig(new, "spec", "clusterIP")
    if (
        before
        and dig(old, "spec", "type") != "ExternalName"
        and dig(new, "spec", "type") != "ExternalName"
        and after != before
    ):
        yield invalid_value("spec.clusterIPs[0]", [after], "may not change once set")


def validate_config_map(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a config map."""
    total = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            yield from _key_error(key, field)
            total += len(value.encode())
    for key in (obj.get("data") or {}).keys() & (obj.get("binaryData") or {}).keys():
        yield invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
    if total > _SIZE_LIMIT:
        yield FieldError("FieldValueTooLong", "", f"Too long: may not be more than {_SIZE_LIMIT} bytes")


def validate_secret(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a secret."""
    total = 0
    for key, value in (obj.get("data") or {}).items():
        yield from _key_error(key, "data")
        try:
            total += len(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            yield invalid_value(f"data[{key}]", "<value omitted>", "illegal base64 data")
    if total > _SIZE_LIMIT:
        yield FieldError("FieldValueTooLong", "data", f"Too long: may not be more than {_SIZE_LIMIT} bytes")


def _key_error(key: str, field: str) -> Iterator[FieldError]:
    if not _KEY.fullmatch(key):
        rule = (
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
            "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )
        yield invalid_value(f"{field}[{key}]", key, rule)


def immutable_when_marked(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes of a config map or secret that is marked immutable."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden_field("immutable", "field is immutable when `immutable` is set")
    for field in ("data", "binaryData"):
        if new.get(field) != old.get(field):
            yield forbidden_field(field, "field is immutable when `immutable` is set")


def secret_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes that a secret does not allow."""
    yield from unchanged(new.get("type"), old.get("type"), "type")
    yield from immutable_when_marked(new, old)


def validate_claim(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a persistent volume claim."""
    spec = obj["spec"]
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required("spec.accessModes", "at least 1 access mode is required")
    for mode in modes:
        if mode not in _MODES:
            yield not_supported("spec.accessModes", mode, _MODES)
    requests = dig(spec, "resources", "requests") or {}
    if "storage" not in requests:
        yield required("spec.resources[storage]")
    yield from quantity_errors(requests, "spec.resources.requests")


def claim_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes that a claim does not allow: only its size may grow, and its volume be filled in once."""
    before, after = dict(old["spec"]), dict(new["spec"])
    for spec in (before, after):
        spec.pop("resources", None)
        spec.pop("volumeAttributesClassName", None)
    for field in ("volumeName", "storageClassName"):
        if not old["spec"].get(field):
            before.pop(field, None)
            after.pop(field, None)
    if before != after:
        yield forbidden_field(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        )


def validate_volume(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a persistent volume."""
    spec = obj["spec"]
    if not spec.get("accessModes"):
        yield required("spec.accessModes")
    if "storage" not in (spec.get("capacity") or {}):
        yield required("spec.capacity")
    yield from quantity_errors(spec.get("capacity") or {}, "spec.capacity")


def binding_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield a change of the role that a binding grants."""
    if new.get("roleRef") != old.get("roleRef"):
        yield invalid_value("roleRef", new.get("roleRef"), "cannot change roleRef")


def storage_class_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes that a storage class does not allow."""
    for field in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"):
        if new.get(field) != old.get(field):
            yield forbidden_field(field, f"updates to {field} are forbidden.")


def validate_event(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with an event."""
    about = dig(obj, "involvedObject", "namespace") or ""
    if about and about != obj["metadata"].get("namespace"):
        yield invalid_value("involvedObject.namespace", about, "does not match event.namespace")
