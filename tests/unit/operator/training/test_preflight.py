"""What a training needs is looked for before any pod exists."""

from typing import Any

import pytest

from support.training import NAMESPACE, START, TrainingJobBuilder, World, a_training_job
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.errors import Forbidden, Unavailable
from trainyard_operator.cluster.kinds import (
    CLAIM,
    NODE,
    PRIORITY_CLASS,
    QUOTA,
    RUNTIME_CLASS,
    SERVICE_ACCOUNT,
    Kind,
)
from trainyard_operator.training.preflight import Preflight, preflight
from trainyard_operator.workloads.nodes import NodeOffers

GPU = "nvidia.com/gpu"
ONE_NODE = {
    "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]}
}


def with_template(**template: Any) -> TrainingJobBuilder:
    return a_training_job().with_worker(template=template)


async def found_by(world: World, job: TrainingJobBuilder) -> Preflight:
    return await preflight(world.cluster, TrainingJob.model_validate(job.build()), nodes=NodeOffers(), now=START)


def put(world: World, kind: Kind, name: str, *, namespace: str | None = None, **parts: Any) -> None:
    world.cluster.put(kind, {"metadata": {"name": name} | ({"namespace": namespace} if namespace else {})} | parts)


@pytest.mark.parametrize(
    ("job", "reason", "says"),
    [
        (
            with_template(serviceAccountName="robot"),
            "ServiceAccountNotFound",
            "of spec.roles.worker.template.serviceAccountName does not exist in namespace 'team'",
        ),
        (
            with_template(priorityClassName="hihg"),
            "PriorityClassNotFound",
            "'hihg' of spec.roles.worker.template.priorityClassName does not exist; the cluster has: high",
        ),
        (with_template(runtimeClassName="nvidia"), "RuntimeClassNotFound", "the cluster has: none"),
        (
            with_template(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]),
            "ConfigMapNotFound",
            "ConfigMap 'settings' of spec.roles.worker.template.env",
        ),
    ],
)
async def test_what_is_missing_keeps_the_training_from_starting(
    job: TrainingJobBuilder, reason: str, says: str
) -> None:
    world = World()
    put(world, PRIORITY_CLASS, "high")

    found = await found_by(world, job)

    assert found.blocker is not None
    assert (found.blocker.reason, found.blocker.transient) == (reason, False)
    assert says in found.blocker.message


async def test_what_is_there_is_in_nobodys_way() -> None:
    world = World()
    put(world, PRIORITY_CLASS, "high")
    put(world, RUNTIME_CLASS, "nvidia")
    put(world, SERVICE_ACCOUNT, "robot", namespace=NAMESPACE)
    put(world, NODE, "big", status={"allocatable": {GPU: "1"}})
    template = {"serviceAccountName": "robot", "priorityClassName": "high", "runtimeClassName": "nvidia"}

    assert await found_by(world, a_training_job().with_worker(gpus=1, template=template)) == Preflight()


@pytest.mark.parametrize(
    "job",
    [
        with_template(serviceAccountName="robot"),
        with_template(priorityClassName="high"),
        with_template(runtimeClassName="nvidia"),
        a_training_job().with_gpus(1),
        a_training_job(),
    ],
)
async def test_what_the_operator_may_not_see_is_not_called_missing(job: TrainingJobBuilder) -> None:
    world = World()
    # The claim and the ConfigMap of the data are read first.
    world.cluster.fail_at, world.cluster.failure = 2, Forbidden("not yours", code=403)
    put(world, NODE, "big", status={"allocatable": {GPU: "1"}})

    assert await found_by(world, job) == Preflight()


async def test_an_api_server_that_does_not_answer_says_nothing_of_what_is_there() -> None:
    world = World()
    world.cluster.fail_at, world.cluster.failure = 2, Unavailable("HTTP 503", code=503)

    with pytest.raises(Unavailable):
        await found_by(world, with_template(priorityClassName="high"))


async def test_a_quota_counts_the_pods_of_all_workers() -> None:
    world = World()
    put(world, QUOTA, "team", namespace=NAMESPACE, spec={"hard": {f"requests.{GPU}": "4"}})
    put(world, QUOTA, "others", namespace="elsewhere", spec={"hard": {"pods": "0"}})

    found = await found_by(world, a_training_job().with_worker(gpus=2, replicas=3))

    assert found.blocker is not None
    assert found.blocker.reason == "QuotaTooSmall"
    assert f"allows 4 of requests.{GPU}, and all pods together ask for 6" in found.blocker.message


@pytest.mark.parametrize(
    ("modes", "worker", "reason", "refused"),
    [
        (["ReadWriteOnce"], {"replicas": 2}, "ClaimNotShared", False),
        (["ReadWriteOncePod"], {"replicas": 2}, "ClaimNotShared", True),
        (["ReadWriteOnce"], {"replicas": 2, "template": {"affinity": ONE_NODE}}, None, False),
        (["ReadWriteOnce", "ReadWriteMany"], {"replicas": 2}, None, False),
        (["ReadWriteOncePod"], {"replicas": 1}, None, False),
        ([], {"replicas": 2}, None, False),
    ],
)
async def test_a_claim_for_one_node_is_said_of_several_pods(
    modes: list[str], worker: dict[str, Any], reason: str | None, refused: bool
) -> None:
    world = World()
    put(world, CLAIM, "models", namespace=NAMESPACE, spec={"accessModes": modes})

    found = await found_by(world, a_training_job().with_worker(**worker))

    said = found.blocker if refused else found.concern
    assert (said.reason if said else None) == reason
    assert found.blocker is None or refused


async def test_gpus_that_no_node_has_yet_are_said_and_do_not_keep_the_job_from_its_pods() -> None:
    world = World().put(a_training_job().with_gpus(1))
    put(world, NODE, "small", status={"allocatable": {"cpu": "4"}})

    await world.settle()

    assert world.jobs() == ["churn-worker-0"]
    condition = world.conditions()["MayNotStart"]
    assert (condition["status"], condition["reason"]) == ("True", "GpuNotOffered")
    assert "install the vendor's device plugin" in condition["message"].lower()
    assert world.events() == ["Normal TrainingStarted", "Warning GpuNotOffered"]
    assert "Stalled" not in world.conditions()
    world.create_pod()
    await world.settle()
    assert "MayNotStart" in world.conditions()

    world.run_pod()  # an autoscaler has brought a node
    await world.settle()

    assert "MayNotStart" not in world.conditions()
    assert world.events() == ["Normal TrainingStarted", "Warning GpuNotOffered"]


async def test_a_quota_that_others_use_up_is_waited_for_without_an_alarm() -> None:
    world = World().put(a_training_job())
    quota = {"spec": {"hard": {"pods": "1"}}, "status": {"used": {"pods": "1"}}}
    put(world, QUOTA, "team", namespace=NAMESPACE, **quota)

    outcome = await world.settle()

    assert (world.status()["phase"], world.conditions()["Running"]["reason"]) == ("Pending", "QuotaUsedUp")
    assert "Stalled" not in world.conditions()
    assert outcome.requeue_after == 15.0
    assert world.jobs() == []

    put(world, QUOTA, "team", namespace=NAMESPACE, spec={"hard": {"pods": "1"}}, status={"used": {"pods": "0"}})
    await world.settle()

    assert world.jobs() == ["churn-worker-0"]
