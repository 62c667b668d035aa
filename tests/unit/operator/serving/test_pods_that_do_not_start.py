"""A pod that hangs says what it waits for within a minute or two, by name."""

from typing import Any

import pytest

from support.serving import LABELS, World, a_model_service, a_succeeded_job, a_world_serving
from trainyard_api.times import to_rfc3339

PREPARING = {
    "initContainerStatuses": [{"name": "fetch", "state": {"waiting": {"reason": "PodInitializing"}}}],
    "containerStatuses": [{"name": "server", "state": {"waiting": {"reason": "PodInitializing"}}}],
}
REMOTE = {"model": {"uri": "s3://lake/churn/3", "secretRef": {"name": "lake"}}}
ENV = [
    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "token", "key": "a"}}},
    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "b"}}},
    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "c", "optional": True}}},
]


async def waiting(spec: dict[str, Any], status: dict[str, Any], seconds: int = 60) -> World:
    service = a_model_service()
    world = World().put(type(service)(service.manifest | {"spec": service.manifest["spec"] | spec}))
    await world.settle()
    world.control()
    world.report(status)
    await world.settle()
    await world.later(seconds=seconds).settle()
    return world


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        pytest.param(REMOTE, ["the Secret 'lake'"], id="secretRef"),
        pytest.param(
            {"server": {"template": {"imagePullSecrets": [{"name": "registry"}]}}},
            ["the Secret 'registry'"],
            id="pulls",
        ),
        pytest.param(
            {"server": {"template": {"env": ENV}}}, ["the Secret 'token'", "the ConfigMap 'settings'"], id="variables"
        ),
        pytest.param({}, ["the claim 'models'"], id="claim"),
    ],
)
async def test_what_a_pod_waits_for_is_named_after_a_minute(spec: dict[str, Any], named: list[str]) -> None:
    world = await waiting(spec, PREPARING)

    assert world.condition("Degraded") == ("True", "WaitingForVolumes")
    for name in named:
        assert name in world.message("Ready")
    assert "maybe" not in world.message("Ready")
    assert world.events()[-1] == "Warning WaitingForVolumes"
    # It may pass by itself.
    assert world.condition("Reconciling")[0] == "True"


async def test_a_pod_that_was_just_made_waits_for_nothing() -> None:
    world = await waiting(REMOTE, PREPARING, seconds=59)

    assert world.condition("Degraded") == ("False", "AsExpected")
    assert (await world.reconcile()).requeue_after is not None


async def test_an_unbound_claim_is_named() -> None:
    refused = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
    }

    world = await waiting({}, {"conditions": [refused]}, seconds=0)

    assert "the claim 'models'" in world.message("Ready")
    assert "kubectl describe pvc models" in world.message("Ready")
    assert "Ask for less" not in world.message("Ready")


async def test_a_server_that_listens_nowhere_is_named_with_its_revision_and_image() -> None:
    world = await a_world_serving()
    started = to_rfc3339(world.now)
    world.update(a_model_service().following(**LABELS).with_server(image="hang/serving:1", startupTimeout="5m"))
    await world.settle()
    world.control()
    new = world.status()["next"]["revision"]
    rolling = world.message("Ready")
    assert f"revision {new} (image hang/serving:1)" in rolling
    assert "version 1" not in rolling
    world.report({"containerStatuses": [{"name": "server", "state": {"running": {"startedAt": started}}}]})

    await world.later(seconds=119).settle()
    assert world.condition("Degraded")[0] == "False"
    await world.later(seconds=1).settle()

    assert world.condition("Degraded") == ("True", "ServerNotListening")
    message = world.message("Ready")
    assert f"revision {new}, image hang/serving:1" in message
    assert "spec.server.startupTimeout (5m)" in message
    assert world.status()["current"]["ready"] == 1


async def test_a_rollout_without_room_says_who_holds_what_is_missing() -> None:
    service = a_model_service().following(**LABELS).with_server(gpus=2)
    world = World().put(service).put_job(a_succeeded_job(1))
    await world.run()
    old = world.serving()
    world.put_job(a_succeeded_job(2))
    await world.settle()
    world.control()
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    world.report({"conditions": [refused]})

    await world.settle()

    assert f"The 1 pods of revision {old}, which serve, hold 2 nvidia.com/gpu" in world.message("Ready")
    assert "set spec.rollout.allowUnavailable to true" in world.message("Ready")
