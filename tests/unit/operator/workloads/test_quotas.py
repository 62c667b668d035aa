"""Whether quotas leave room for the pods of a training."""

from decimal import Decimal
from typing import Any

import pytest

from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.quotas import demand, shortage, total

GPU = "nvidia.com/gpu"
RESOURCES = {"requests": {"cpu": "500m", GPU: "2"}, "limits": {"memory": "1Gi", GPU: "2"}}


def a_quota(*, used: dict[str, str] | None = None, scopes: list[str] | None = None, **hard: str) -> Manifest:
    names = {name.replace("_", "."): amount for name, amount in hard.items()}
    spec: dict[str, Any] = {"hard": names} | ({"scopes": scopes} if scopes else {})
    return {"metadata": {"name": "team"}, "spec": spec, "status": {"hard": names, "used": used or {}}}


def test_the_demand_of_pods_has_the_names_that_quotas_use() -> None:
    found = demand(RESOURCES, count=3)

    gib = Decimal(1024**3)
    assert found == {
        "pods": 3,
        "cpu": Decimal("1.5"),
        "requests.cpu": Decimal("1.5"),
        f"requests.{GPU}": 6,
        f"limits.{GPU}": 6,
        "limits.memory": 3 * gib,
        # What only has a limit requests as much.
        "requests.memory": 3 * gib,
        "memory": 3 * gib,
    }
    assert total([found, demand({}, count=2)])["pods"] == 5


@pytest.mark.parametrize(
    ("quota", "reason", "says"),
    [
        (a_quota(pods="2"), "QuotaTooSmall", "ResourceQuota 'team' allows 2 of pods, and all pods together ask for 3"),
        (a_quota(cpu="1"), "QuotaTooSmall", "allows 1 of cpu, and all pods together ask for 1.5"),
        (a_quota(limits_memory="2Gi"), "QuotaTooSmall", "ask for less in spec.roles"),
        (a_quota(pods="4", used={"pods": "2"}), "QuotaUsedUp", "has 2 of 4 pods left"),
        (a_quota(pods="4", used={"pods": "5"}), "QuotaUsedUp", "has 0 of 4 pods left"),
    ],
)
def test_too_little_is_said_with_the_quota_by_name(quota: Manifest, reason: str, says: str) -> None:
    found = shortage([quota], demand(RESOURCES, count=3), path="spec.roles")

    assert found is not None
    assert (found.reason, found.transient) == (reason, reason == "QuotaUsedUp")
    assert says in found.message


@pytest.mark.parametrize(
    "quota",
    [
        a_quota(pods="3"),
        a_quota(pods="4", used={"pods": "1"}),
        a_quota(services="0", count_jobs="0"),
        a_quota(pods="nonsense"),
        # Whether scopes hold for these pods is for the API server to say.
        a_quota(pods="0", scopes=["BestEffort"]),
    ],
)
def test_what_suffices_or_is_about_something_else_is_no_shortage(quota: Manifest) -> None:
    assert shortage([quota], demand(RESOURCES, count=3), path="spec.roles") is None


def test_what_can_never_fit_comes_before_what_is_used_up() -> None:
    quotas = [a_quota(pods="4", used={"pods": "4"}), a_quota(cpu="1")]

    found = shortage(quotas, demand(RESOURCES, count=3), path="spec.roles")

    assert found is not None
    assert found.reason == "QuotaTooSmall"
