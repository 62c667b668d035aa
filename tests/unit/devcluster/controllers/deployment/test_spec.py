from typing import Any

import pytest

from support.workloads import a_deployment
from trainyard_devcluster.controllers.deployment.spec import parse, resolve


@pytest.mark.parametrize(
    ("value", "total", "up", "number"),
    [(3, 10, True, 3), ("25%", 10, True, 3), ("25%", 10, False, 2), ("100%", 7, False, 7), ("0%", 7, True, 0)],
)
def test_percentages_of_the_replicas_are_rounded(value: Any, total: int, up: bool, number: int) -> None:
    assert resolve(value, total, up=up) == number


@pytest.mark.parametrize(
    ("rolling", "replicas", "most", "fewest"),
    [
        ({}, 4, 5, 3),
        ({}, 1, 2, 1),
        ({"maxSurge": 0, "maxUnavailable": 1}, 3, 3, 2),
        ({"maxSurge": 0, "maxUnavailable": "10%"}, 3, 3, 2),
        ({"maxSurge": 1, "maxUnavailable": 9}, 3, 4, 0),
    ],
)
def test_the_bounds_of_a_rollout(rolling: dict[str, Any], replicas: int, most: int, fewest: int) -> None:
    spec = parse(a_deployment(replicas=replicas, strategy={"type": "RollingUpdate", "rollingUpdate": rolling}))
    assert (spec.most_pods, spec.fewest_available) == (most, fewest)
