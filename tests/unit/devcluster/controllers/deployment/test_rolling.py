from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.workloads import Object, a_deployment, a_replica_set
from trainyard_devcluster.controllers.deployment import rolling
from trainyard_devcluster.controllers.deployment.spec import DeploymentSpec, parse


def a_spec(replicas: int = 4, surge: Any = 1, unavailable: Any = 1, **spec: Any) -> DeploymentSpec:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return parse(a_deployment(replicas=replicas, **({"strategy": strategy} | spec)))


def told(scales: list[rolling.Scale]) -> dict[str, int]:
    return {scale.replica_set["metadata"]["name"]: scale.replicas for scale in scales}


def old(replicas: int, available: int | None = None, name: str = "old") -> Object:
    return a_replica_set(name, replicas, available=available, created=-90)


def new(replicas: int, available: int | None = None) -> Object:
    return a_replica_set("new", replicas, available=available, created=-30)


@pytest.mark.parametrize(
    ("spec", "current", "others", "steps"),
    [
        # Up to the most pods there may be, then down as far as availability allows.
        (a_spec(), new(0), [old(4)], {"new": 1}),
        (a_spec(), new(1, 0), [old(4)], {"old": 3}),
        (a_spec(), new(1, 0), [old(3)], {"new": 2}),
        (a_spec(), new(2, 0), [old(3)], {}),
        (a_spec(), new(2, 1), [old(3)], {"old": 2}),
        (a_spec(), new(4, 4), [old(1)], {"old": 0}),
        (a_spec(), new(4, 4), [old(0)], {}),
        # Old pods that are broken go first and cost nothing.
        (a_spec(), new(2, 0), [old(3, 1)], {}),
        (a_spec(unavailable=0), new(1, 0), [old(4, 3)], {}),
        (a_spec(unavailable=0), new(1, 1), [old(4, 3)], {"old": 3}),
        (a_spec(), new(1, 1), [old(2, 0, "oldest"), old(2, 2, "older")], {"oldest": 0}),
        # Nothing is taken away that is needed for the new pods' sake.
        (a_spec(replicas=1, surge=1, unavailable=0), new(1, 0), [old(1)], {}),
        (a_spec(replicas=1, surge=1, unavailable=0), new(1, 1), [old(1)], {"old": 0}),
        (a_spec(replicas=2), new(5, 5), [], {"new": 2}),
    ],
)
def test_a_step_of_a_rolling_update(
    spec: DeploymentSpec, current: Object, others: list[Object], steps: dict[str, int]
) -> None:
    assert told(rolling.roll(spec, current, others)) == steps


@given(
    replicas=st.integers(1, 12),
    surge=st.integers(0, 5),
    unavailable=st.integers(0, 5),
    ready=st.lists(st.integers(0, 12), max_size=30),
)
def test_a_rollout_keeps_its_bounds_at_every_step_and_comes_to_its_end(
    replicas: int, surge: int, unavailable: int, ready: list[int]
) -> None:
    spec = a_spec(replicas, surge, unavailable)
    sizes = {"old": replicas, "new": 0}
    available = {"old": replicas, "new": 0}
    for becoming in [*ready, *[replicas] * 60]:
        current, other = new(sizes["new"], available["new"]), old(sizes["old"], available["old"])
        for name, size in told(rolling.roll(spec, current, [other])).items():
            sizes[name] = size
            available[name] = min(available[name], size)
        assert sum(sizes.values()) <= spec.most_pods
        assert sum(available.values()) >= spec.fewest_available
        available["new"] = min(sizes["new"], available["new"] + becoming)
    assert sizes == {"old": 0, "new": replicas}


@pytest.mark.parametrize(
    ("spec", "others", "replicas"),
    [
        (a_spec(), [], 4),
        (a_spec(), [old(4)], 1),
        (a_spec(surge=0), [old(4)], 0),
        (a_spec(strategy={"type": "Recreate"}), [old(4)], 4),
    ],
)
def test_a_new_set_starts_with_the_room_there_is(spec: DeploymentSpec, others: list[Object], replicas: int) -> None:
    assert rolling.first_scale(spec, others) == replicas


def remembering(entry: Object, desired: int, most: int) -> Object:
    marks = {rolling.DESIRED_ANNOTATION: str(desired), rolling.MOST_ANNOTATION: str(most)}
    return entry | {"metadata": entry["metadata"] | {"annotations": marks}}


def test_a_new_size_is_noticed_by_what_the_sets_remember() -> None:
    assert rolling.is_resized(a_spec(6), [remembering(old(4), 4, 5)])
    assert not rolling.is_resized(a_spec(4), [remembering(old(4), 4, 5)])
    assert not rolling.is_resized(a_spec(6), [old(4)])


def test_a_single_set_takes_the_whole_new_size() -> None:
    assert told(rolling.resize(a_spec(9), new(4), [old(0)])) == {"new": 9}


def test_a_paused_rollout_of_the_right_size_stays_as_it_is() -> None:
    paused = a_spec(4)
    sets = [remembering(new(2, 0), 4, 5), remembering(old(3), 4, 5)]
    assert told(rolling.resize(paused, sets[0], sets[1:])) == {}


def test_in_the_middle_of_a_rollout_every_set_keeps_its_share() -> None:
    sets = [remembering(new(5, 2), 10, 13), remembering(old(8), 10, 13)]
    scales = told(rolling.resize(a_spec(15, surge=3), sets[0], sets[1:]))
    assert scales == {"new": 7, "old": 11}
