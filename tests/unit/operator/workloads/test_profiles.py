"""Profiles: which one a resource gets, and what its pods get from it."""

from datetime import timedelta
from typing import Any

import pytest

from support.fake_cluster import FakeCluster
from support.profiles import a_profile, put_profile
from support.training import START
from trainyard_api.pods import PodTemplate, Resources
from trainyard_api.profile import ProfileStatus, TrainingProfile
from trainyard_operator.cluster.errors import Forbidden
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.workloads.profiles import Choice, Profiles, choose, filled, noted, status_of

GPU_TAINT = {"key": "gpu", "operator": "Exists"}
TEAM_TAINT = {"key": "team", "value": "a"}


def parsed(**spec: Any) -> TrainingProfile:
    return TrainingProfile.model_validate(a_profile(**spec))


@pytest.mark.parametrize(
    ("profiles", "name", "chosen"),
    [
        ([], None, None),
        ([a_profile("a"), a_profile("b")], None, None),
        ([a_profile("a"), a_profile("b")], "b", "b"),
        ([a_profile("a"), a_profile("c", default=True), a_profile("b", default=True)], None, "b"),
        ([a_profile("a"), a_profile("b", default=True)], "a", "a"),
    ],
)
def test_the_profile_that_is_named_is_taken_or_else_the_default(
    profiles: list[Manifest], name: str | None, chosen: str | None
) -> None:
    found = choose({each["metadata"]["name"]: each for each in profiles}, name)

    assert (found.blocker, found.concern) == (None, None)
    assert (found.profile.name if found.profile else None) == chosen


@pytest.mark.parametrize(
    ("profiles", "reason", "says"),
    [
        ({}, "ProfileNotFound", "TrainingProfile 'x' of spec.profile does not exist; the cluster has: none"),
        ({"b": a_profile("b"), "a": a_profile("a")}, "ProfileNotFound", "the cluster has: a, b"),
        ({"x": a_profile("x", pods={"tolerations": "all"})}, "ProfileNotFound", "spec.pods.tolerations"),
    ],
)
def test_a_profile_that_is_missing_or_broken_keeps_the_resource_waiting(
    profiles: dict[str, Manifest], reason: str, says: str
) -> None:
    blocker = choose(profiles, "x").blocker

    assert blocker is not None
    assert (blocker.reason, blocker.transient) == (reason, False)
    assert says in blocker.message


async def test_profiles_that_may_not_be_read_are_said_only_where_one_is_named() -> None:
    cluster, profiles = FakeCluster(), Profiles()
    cluster.fail_at, cluster.failure = 0, Forbidden("not yours", code=403)

    named = await profiles.choose(cluster, "x", START)

    assert named.concern is not None
    assert (named.concern.reason, named.profile, named.blocker) == ("ProfileNotRead", None, None)
    assert await profiles.choose(cluster, None, START) == Choice()
    assert cluster.calls == [("list", "trainingprofiles")]


async def test_profiles_are_at_most_five_seconds_old() -> None:
    cluster, profiles = FakeCluster(), Profiles()
    assert (await profiles.choose(cluster, None, START)).profile is None
    put_profile(cluster, default=True)

    assert (await profiles.choose(cluster, None, START + timedelta(seconds=4))).profile is None
    assert (await profiles.choose(cluster, None, START + timedelta(seconds=5))).profile is not None


@pytest.mark.parametrize(
    ("profile", "own", "gpus", "expected"),
    [
        ({"pods": {"priorityClassName": "low"}}, {}, False, {"priorityClassName": "low"}),
        ({"pods": {"priorityClassName": "low"}}, {"priorityClassName": "own"}, False, {"priorityClassName": "own"}),
        ({"gpuPods": {"runtimeClassName": "nvidia"}}, {}, True, {"runtimeClassName": "nvidia"}),
        ({"gpuPods": {"runtimeClassName": "nvidia"}}, {}, False, {}),
        (
            {"pods": {"schedulerName": "a", "priorityClassName": "low"}, "gpuPods": {"schedulerName": "b"}},
            {},
            True,
            {"schedulerName": "b", "priorityClassName": "low"},
        ),
        (
            {"pods": {"nodeSelector": {"pool": "a", "zone": "b"}}},
            {"nodeSelector": {"zone": "own"}},
            False,
            {"nodeSelector": {"pool": "a", "zone": "own"}},
        ),
        (
            {"pods": {"tolerations": [TEAM_TAINT]}, "gpuPods": {"tolerations": [GPU_TAINT]}},
            {"tolerations": [TEAM_TAINT]},
            True,
            {"tolerations": [TEAM_TAINT, GPU_TAINT]},
        ),
        (
            {"pods": {"imagePullSecrets": [{"name": "hub"}]}},
            {"imagePullSecrets": [{"name": "own"}]},
            False,
            {"imagePullSecrets": [{"name": "own"}, {"name": "hub"}]},
        ),
    ],
)
def test_what_the_spec_says_of_pods_comes_before_the_profile(
    profile: Manifest, own: Manifest, gpus: bool, expected: Manifest
) -> None:
    template, resources = filled(PodTemplate.model_validate(own), Resources(), parsed(**profile), gpus=gpus)

    assert template.to_wire() == expected
    assert resources == Resources()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}),
        # Beside a limit or request of the spec's own, the profile's might not be valid.
        ({"limits": {"cpu": "500m"}}, {"requests": {"memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "2Gi"}}),
        ({"requests": {"memory": "8Gi"}}, {"requests": {"cpu": "1", "memory": "8Gi"}}),
    ],
)
def test_amounts_are_filled_in_for_what_the_spec_leaves_out(own: Manifest, expected: Manifest) -> None:
    defaults = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    profile = parsed(pods={"resources": defaults})

    _, resources = filled(PodTemplate(), Resources.model_validate(own), profile, gpus=False)

    assert resources.to_wire() == expected


def test_a_child_tells_which_profile_it_was_made_by() -> None:
    child = {"metadata": {"annotations": noted(parsed())}}

    assert status_of(child) == ProfileStatus(name="team", generation=1)
    for other in (None, {"metadata": {}}, {"metadata": {"annotations": {"trainyard.dev/profile": "team"}}}):
        assert status_of(other) is None
