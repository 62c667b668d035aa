"""A new operator tells of the status it finds, in case the one before died first: no old news, and nothing twice."""

import pytest

from support.training import World, a_training_job
from trainyard_operator.training.progress import Snapshot
from trainyard_operator.training.termination_message import ReportedCheckpoint

CHECKPOINT = ReportedCheckpoint(step=50, path="x", time="2026-11-23T10:05:00Z")


async def a_world_with_a_succeeded_job() -> World:
    world = await World().put(a_training_job()).running()
    world.succeed()
    await world.settle()
    return world


async def test_what_the_operator_before_did_not_come_to_tell_is_told() -> None:
    world = await a_world_with_a_succeeded_job()
    assert world.cluster.events.pop()[2].reason == "Succeeded"

    await world.restart().reconcile()
    await world.reconcile()

    assert world.events() == ["Normal TrainingStarted", "Normal Succeeded"]


async def test_a_reconcile_that_was_cut_off_before_it_told_is_made_up_for_by_the_next() -> None:
    world = await World().put(a_training_job()).running()
    world.succeed()
    await world.reconcile()
    assert world.cluster.calls[-1] == ("emit", "events")
    number = len(world.cluster.calls) - 1

    world = await World().put(a_training_job()).running()
    world.succeed()
    world.cluster.fail_at, world.cluster.failure = number, TimeoutError()
    with pytest.raises(TimeoutError):
        await world.reconcile()
    await world.reconcile()

    assert world.events() == ["Normal TrainingStarted", "Normal Succeeded"]


async def test_what_an_api_server_would_have_forgotten_is_not_told_again() -> None:
    world = await a_world_with_a_succeeded_job()
    world.cluster.events.clear()

    await world.restart().later(minutes=61).reconcile()

    assert world.events() == []


async def test_what_is_in_the_way_is_told_again_however_old_it_is() -> None:
    world = World().put(a_training_job().with_spec(output={"store": {"persistentVolumeClaim": {"claimName": "gone"}}}))
    await world.settle()
    world.cluster.events.clear()

    await world.restart().later(days=2).reconcile()

    assert world.events() == ["Warning StoreNotFound"]


async def test_the_start_of_an_attempt_is_not_told_with_a_checkpoint_that_it_made_itself() -> None:
    world = await World().put(a_training_job().with_run_policy(maxRestarts=1)).running()
    world.fail(code=1, message="boom")
    await world.settle()
    await world.later(seconds=10).running(1)
    told = world.events()
    world.progress.answer = Snapshot(
        phase="training",
        epoch=1,
        epochs=10,
        last_checkpoint=CHECKPOINT,
    )
    await world.reconcile()
    assert world.status()["lastCheckpoint"]["step"] == 50

    await world.restart().reconcile()

    assert world.events() == told == ["Normal TrainingStarted", "Warning AttemptFailed", "Normal TrainingRestarted"]
