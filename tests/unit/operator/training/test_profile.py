"""What a TrainingJob gets from a profile: its next attempt, and nothing that runs."""

from typing import Any

import pytest

from support.profiles import a_profile, put_profile
from support.training import TrainingJobBuilder, World, a_training_job
from trainyard_api.profile import TrainingProfile
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.training.profile import over_limit

IMAGES = {"trainer": "hub/trainer:1", "trainerGpu": "hub/trainer:1-gpu"}


def container(world: World, attempt: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = world.job(attempt)["spec"]["template"]["spec"]["containers"][0]
    return found


async def test_an_attempt_has_what_the_profile_said_when_it_started_and_a_later_change_touches_nothing() -> None:
    world = World().put(a_training_job().with_spec(profile="team"))
    put_profile(world.cluster, images=IMAGES, pods={"tolerations": [{"key": "team", "operator": "Exists"}]})
    await world.running()
    assert container(world)["image"] == "hub/trainer:1"
    assert world.job()["spec"]["template"]["spec"]["tolerations"] == [{"key": "team", "operator": "Exists"}]
    assert world.status()["profile"] == {"name": "team", "generation": 1}
    job = world.job()

    put_profile(world.cluster, images=IMAGES | {"trainer": "hub/trainer:2"}, limits={"maxActiveDeadline": "1h"})
    await world.later(minutes=1).settle()

    assert world.job() == job
    assert world.status()["profile"] == {"name": "team", "generation": 1}

    world.fail(code=1)
    await world.settle()
    await world.later(seconds=30).settle()

    # A limit that came later is for new trainings.
    assert container(world, 1)["image"] == "hub/trainer:2"
    assert world.status()["profile"] == {"name": "team", "generation": 2}
    assert "profile" not in world.cluster.objects["configmaps", "team", "churn-spec"]["data"]["spec.json"]


async def test_a_default_profile_is_taken_and_the_job_comes_before_it() -> None:
    world = World().put(a_training_job().with_worker(gpus=1, image="own:1"))
    put_profile(world.cluster, default=True, images=IMAGES, gpuPods={"nodeSelector": {"pool": "gpu"}})

    await world.settle()

    assert container(world)["image"] == "own:1"
    assert world.job()["spec"]["template"]["spec"]["nodeSelector"] == {"pool": "gpu"}
    assert world.status()["profile"]["name"] == "team"


async def test_a_job_waits_for_the_profile_that_it_names() -> None:
    world = World().put(a_training_job().with_spec(profile="team"))

    await world.settle()
    assert world.conditions()["Stalled"]["reason"] == "ProfileNotFound"
    assert world.jobs() == []
    put_profile(world.cluster)
    await world.later(seconds=15).settle()

    assert world.jobs() == ["churn-worker-0"]


async def test_what_a_profile_brings_is_looked_for_too() -> None:
    world = World().put(a_training_job())
    put_profile(world.cluster, default=True, pods={"priorityClassName": "missing"})

    await world.settle()

    assert world.conditions()["Stalled"]["reason"] == "PriorityClassNotFound"


@pytest.mark.parametrize(
    ("job", "limits", "says"),
    [
        (a_training_job().with_worker(gpus=2, replicas=3), {"maxGpus": 5}, "allows 5 GPUs, and all pods together ask"),
        (a_training_job(), {"maxActiveDeadline": "1h"}, "(it is not set)"),
        (a_training_job().with_run_policy(activeDeadline="61m"), {"maxActiveDeadline": "1h"}, "(it is 61m)"),
        (a_training_job().with_worker(gpus=2, replicas=3), {"maxGpus": 6}, None),
        (a_training_job().with_run_policy(activeDeadline="60m"), {"maxActiveDeadline": "1h"}, None),
        (a_training_job(), {}, None),
    ],
)
def test_more_than_the_profile_allows_is_said(
    job: TrainingJobBuilder, limits: dict[str, Any], says: str | None
) -> None:
    profile = TrainingProfile.model_validate(a_profile(limits=limits))

    found = over_limit(TrainingJob.model_validate(job.build()), profile)

    assert (found is None) == (says is None)
    if found is not None and says is not None:
        assert found.reason == "ProfileLimit"
        assert says in found.message
