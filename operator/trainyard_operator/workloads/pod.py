"""How every pod of ours is confined, and what of it the spec may set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard_api.pods import PodTemplate, Resources
from trainyard_operator.cluster.port import Manifest

_USER = 65532
"""One user for all that write or read a store, also where the storage knows no fsGroup."""
CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
"""The security context of every container."""


def pod_spec(template: PodTemplate, *, grace_period: int, gpu_resource: str | None = None) -> Manifest:
    """Return a pod spec without containers; it satisfies the `restricted` pod security standard.

    Nodes with GPUs are often tainted with the name of their resource, so a pod that asks for it tolerates that taint.
    """
    tolerations = template.tolerations
    if gpu_resource:
        tolerations = [*(tolerations or []), {"key": gpu_resource, "operator": "Exists", "effect": "NoSchedule"}]
    return {
        "automountServiceAccountToken": False,
        # Their variables are named after other people's Services, and TensorFlow Serving takes its name from one.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_period,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    } | present(
        nodeSelector=template.node_selector,
        tolerations=tolerations,
        affinity=template.affinity,
        topologySpreadConstraints=template.topology_spread_constraints or None,
        priorityClassName=template.priority_class_name,
        runtimeClassName=template.runtime_class_name,
        schedulerName=template.scheduler_name,
        resourceClaims=template.resource_claims,
        serviceAccountName=template.service_account_name,
        imagePullSecrets=template.image_pull_secrets,
    )


@dataclass(frozen=True, slots=True)
class References:
    """What a pod cannot start without, by name."""

    secrets: tuple[str, ...]
    config_maps: tuple[str, ...]


def references(template: PodTemplate) -> References:
    """Return the Secrets and ConfigMaps that a template names."""
    sources = [variable.get("valueFrom") or {} for variable in template.env or []]
    pulls = [reference["name"] for reference in template.image_pull_secrets or []]
    return References(
        secrets=(*pulls, *_names(sources, "secretKeyRef")), config_maps=tuple(_names(sources, "configMapKeyRef"))
    )


def _names(sources: Iterable[Manifest], reference: str) -> Iterator[str]:
    for source in sources:
        found = source.get(reference)
        if isinstance(found, dict) and "name" in found and not found.get("optional"):
            yield str(found["name"])


def resources(
    asked: Resources, *, gpus: int, gpu_resource: str, claims: Sequence[Mapping[str, Any]] | None = None
) -> Manifest:
    """Return the resources of a container with its GPUs, and with all devices that the pod claims."""
    # Extended resources cannot be overcommitted: requests must equal limits.
    counted: dict[str, int | str] = {gpu_resource: gpus} if gpus else {}
    both = {"requests": (asked.requests or {}) | counted, "limits": (asked.limits or {}) | counted}
    # Quantities are strings to the API server; a number would come back as one.
    found: Manifest = {
        name: {key: str(amount) for key, amount in amounts.items()} for name, amounts in both.items() if amounts
    }
    return found | ({"claims": [{"name": claim["name"]} for claim in claims]} if claims else {})


def variables(values: dict[str, str]) -> dict[str, Manifest]:
    """Return environment variables by their names."""
    return {name: {"name": name, "value": value} for name, value in values.items()}


def present(**fields: Any) -> dict[str, Any]:
    """Return the fields that are set."""
    return {name: value for name, value in fields.items() if value is not None}
