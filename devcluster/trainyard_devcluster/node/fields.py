"""The downward API: what a container may learn about its own pod. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trainyard_devcluster import quantity
from trainyard_devcluster.node.env import ConfigError
from trainyard_devcluster.resources import Object, name_of, namespace_of, uid_of

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the pod cannot know before it has a node and an address."""

    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, str]
    """The node's own room: the limit of a container that sets none."""


def field_value(pod: Object, path: str, facts: PodFacts) -> str:
    """The value of a `fieldRef` path. ConfigError where there is no such field."""
    if match := _SUBSCRIPT.fullmatch(path):
        return str((pod["metadata"].get(match.group(1)) or {}).get(match.group(2), ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return _as_lines(pod["metadata"].get(path.removeprefix("metadata.")) or {})
    values = {
        "metadata.name": name_of(pod),
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": uid_of(pod),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
    }
    if path not in values:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(values[path])


def resource_value(pod: Object, container_name: str, reference: Object, facts: PodFacts) -> str:
    """The value of a `resourceFieldRef`, in units of its divisor. ConfigError where there is no such field."""
    wanted = reference.get("containerName") or container_name
    containers = pod["spec"]["containers"] + (pod["spec"].get("initContainers") or [])
    container = next((each for each in containers if each["name"] == wanted), None)
    if container is None:
        raise ConfigError(f"container {wanted} not found")
    side, _, resource = reference["resource"].partition(".")
    amounts = container.get("resources") or {}
    amount = (amounts.get(side) or {}).get(resource)
    if amount is None and side == "requests":
        amount = (amounts.get("limits") or {}).get(resource, "0")
    if amount is None:
        amount = facts.allocatable.get(resource, "0")
    return str(quantity.divide(amount, reference.get("divisor") or "1"))


def _as_lines(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(values.items()))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
