"""Whether the quotas of a namespace leave room for pods that are about to be made."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from trainyard_operator.cluster.compare import amount
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.blockers import Blocker

QUOTA_TOO_SMALL, QUOTA_USED_UP = "QuotaTooSmall", "QuotaUsedUp"
_SHORT = ("cpu", "memory", "ephemeral-storage")
"""Resources that a quota may also name without `requests.`."""


def demand(resources: Manifest, count: int) -> dict[str, Decimal]:
    """Return what `count` pods with these resources take of a quota, by its names for it."""
    limits = resources.get("limits") or {}
    requests = limits | (resources.get("requests") or {})  # what only has a limit requests as much
    found = {"pods": Decimal(count)}
    for prefix, amounts in (("requests.", requests), ("limits.", limits)):
        for name, quantity in amounts.items():
            if (number := amount(quantity)) is not None:
                found[prefix + name] = number * count
    return found | {name: found[f"requests.{name}"] for name in _SHORT if f"requests.{name}" in found}


def total(demands: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Return several demands as one."""
    found: dict[str, Decimal] = {}
    for one in demands:
        for name, number in one.items():
            found[name] = found.get(name, Decimal(0)) + number
    return found


def shortage(quotas: Iterable[Manifest], wanted: Mapping[str, Decimal], *, path: str) -> Blocker | None:
    """Return which quota is too small for the pods, or else which is used up by others.

    Quotas with scopes are left out: whether they hold for these pods is for the API server to say.

    Args:
        path: Where the spec describes the pods, for example `spec.roles`.
    """
    used_up: Blocker | None = None
    for quota in quotas:
        spec, status, name = quota.get("spec") or {}, quota.get("status") or {}, quota["metadata"]["name"]
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue
        used = status.get("used") or {}
        for resource, hard in sorted((spec.get("hard") or {}).items()):
            most, needs = amount(hard), wanted.get(resource)
            if most is None or not needs:
                continue
            if needs > most:
                return Blocker(
                    QUOTA_TOO_SMALL,
                    f"ResourceQuota {name!r} allows {hard} of {resource}, and all pods together ask for {needs:f}: ask "
                    f"for less in {path}, or have the quota raised",
                )
            taken = amount(used.get(resource)) or Decimal(0)
            if needs > most - taken and used_up is None:
                used_up = Blocker(
                    QUOTA_USED_UP,
                    f"ResourceQuota {name!r} has {max(most - taken, Decimal(0)):f} of {hard} {resource} left, and all "
                    f"pods together ask for {needs:f}: the training starts by itself when others have ended",
                    transient=True,
                )
    return used_up
