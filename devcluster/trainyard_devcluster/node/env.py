"""The environment of a container: $(VAR) expansion, env and envFrom, service links. Pure."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from trainyard_devcluster.resources import Object, name_of

Lookup: TypeAlias = Callable[[str, str], Object | None]
"""Finds an object of the pod's namespace by kind (`ConfigMap` or `Secret`) and name."""

FieldReader: TypeAlias = Callable[[Object], str]
"""Reads a `fieldRef` or `resourceFieldRef` (the whole `valueFrom`) for this container."""


class ConfigError(Exception):
    """The container's configuration names something that is not there; the message is the kubelet's."""


_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")
_VARIABLE_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value. `$$` is a dollar sign; unknown names stay as they are."""

    def value(match: re.Match[str]) -> str:
        return "$" if match.group(1) else variables.get(match.group(2), match.group(0))

    return _REFERENCE.sub(value, text)


def expand_all(words: Iterable[str], variables: Mapping[str, str]) -> list[str]:
    """`expand` for a command or its arguments."""
    return [expand(word, variables) for word in words]


def environment(container: Object, base: Mapping[str, str], *, lookup: Lookup, field: FieldReader) -> dict[str, str]:
    """The container's variables: `base`, then envFrom in order, then env in order.

    A value may use the variables before it. ConfigError where a required ConfigMap, Secret or key is missing.
    """
    variables = dict(base)
    for source in container.get("envFrom") or ():
        variables |= _from_source(source, lookup)
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            variables[entry["name"]] = expand(entry.get("value") or "", variables)
        elif (value := _from_reference(entry["valueFrom"], lookup, field)) is not None:
            variables[entry["name"]] = value
    return variables


def service_links(services: Sequence[Object]) -> dict[str, str]:
    """The variables that announce the Services of a namespace, in the style of Docker links."""
    variables: dict[str, str] = {}
    for service in sorted(services, key=name_of):
        address = service["spec"].get("clusterIP")
        ports = service["spec"].get("ports") or ()
        if not address or address == "None" or not ports:
            continue
        prefix = name_of(service).upper().replace("-", "_")
        variables[f"{prefix}_SERVICE_HOST"] = address
        variables[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        variables[f"{prefix}_PORT"] = f"{_protocol(ports[0])}://{address}:{ports[0]['port']}"
        for port in ports:
            variables |= _port_variables(prefix, address, port)
    return variables


def _port_variables(prefix: str, address: str, port: Object) -> dict[str, str]:
    protocol, number = _protocol(port), str(port["port"])
    link = f"{prefix}_PORT_{number}_{protocol.upper()}"
    variables = {
        link: f"{protocol}://{address}:{number}",
        f"{link}_PROTO": protocol,
        f"{link}_PORT": number,
        f"{link}_ADDR": address,
    }
    if name := port.get("name"):
        variables[f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}"] = number
    return variables


def _protocol(port: Object) -> str:
    return str(port.get("protocol") or "TCP").lower()


def _from_source(source: Object, lookup: Lookup) -> dict[str, str]:
    kind, field = ("ConfigMap", "configMapRef") if "configMapRef" in source else ("Secret", "secretRef")
    reference = source[field]
    found = lookup(kind, reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    prefix = source.get("prefix") or ""
    return {
        prefix + key: value for key, value in sorted(text_data(found).items()) if _VARIABLE_NAME.fullmatch(prefix + key)
    }


def _from_reference(value_from: Object, lookup: Lookup, field: FieldReader) -> str | None:
    for kind, name in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        if reference := value_from.get(name):
            return _key(kind, reference, lookup)
    return field(value_from)


def _key(kind: str, reference: Object, lookup: Lookup) -> str | None:
    found = lookup(kind, reference["name"])
    if found is not None and reference["key"] in (values := text_data(found)):
        return values[reference["key"]]
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    namespace = found["metadata"].get("namespace", "")
    raise ConfigError(f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}")


def text_data(source: Object) -> dict[str, str]:
    """A ConfigMap's or Secret's values as text."""
    return {key: value.decode(errors="replace") for key, value in binary_data(source).items()}


def binary_data(source: Object) -> dict[str, bytes]:
    """A ConfigMap's or Secret's values as bytes."""
    values = source.get("data") or {}
    if source.get("kind") == "Secret":
        return {key: base64.b64decode(value or "") for key, value in values.items()}
    binary = {key: base64.b64decode(value) for key, value in (source.get("binaryData") or {}).items()}
    return {key: value.encode() for key, value in values.items()} | binary
