"""Metrics of trainings: counters move on transitions only, and gauges end with their training."""

from prometheus_client import CollectorRegistry

from support.fake_cluster import FakeCluster
from support.training import World, a_report, a_training_job
from trainyard_operator.cluster.kinds import TRAINING_JOB
from trainyard_operator.training.metrics import TrainingMetrics
from trainyard_operator.training.progress import Snapshot

PREFIX = "trainyard_training_"


def a_world(cluster: FakeCluster | None = None) -> World:
    job = a_training_job().with_gpus(2).with_run_policy(maxRestarts=1)
    job.manifest["metadata"]["creationTimestamp"] = "2026-11-23T09:59:00Z"
    return World(cluster or FakeCluster()).put(job)


def shown(world: World) -> dict[str, float]:
    """Return the samples that are not 0, by the end of their names and their labels."""
    found: dict[str, float] = {}
    for metric in world.reconciler.metrics.registry.collect():
        for sample in metric.samples:
            if sample.value and not sample.name.endswith(("_created", "_bucket")):
                found[" ".join([sample.name.removeprefix(PREFIX), *sample.labels.values()])] = sample.value
    return found


async def test_a_life_moves_each_counter_once() -> None:
    world = await a_world().running()
    world.progress.answer = Snapshot(phase="training", epoch=0, epochs=10, step=5, steps=100, loss=0.5)
    await world.later(seconds=10).settle()
    world.later(seconds=50).fail(code=1, message="boom", startedAt="2026-11-23T10:00:00Z")
    await world.settle()
    world.remove_pod()
    await world.later(seconds=10).running(1)
    world.fail(1, code=1, message="boom")
    await world.settle()
    await world.later(minutes=1).settle()

    found = shown(world)
    assert found["restarts_total ApplicationError"] == 1
    assert found["transitions_total Running "] == 2
    assert found["transitions_total Failed ApplicationError"] == 1
    assert (found["queue_seconds_count"], found["queue_seconds_sum"]) == (1, 60)
    assert (found["first_step_seconds_count"], found["first_step_seconds_sum"]) == (1, 70)


async def test_a_running_training_has_gauges_until_it_ends() -> None:
    world = await a_world().running()
    answer = Snapshot(phase="training", epoch=3, epochs=10, step=5, steps=100, loss=0.5, samples_per_second=400)
    world.progress.answer = answer
    await world.later(seconds=10).settle()
    found = shown(world)
    assert (found["epoch team churn"], found["loss team churn"]) == (3, 0.5)
    assert found["samples_per_second team churn"] == 400

    world.progress.answer = None
    world.succeed(message=a_report())
    await world.settle()

    assert not [name for name in shown(world) if name.endswith("team churn")]
    assert shown(world)["transitions_total Succeeded "] == 1


async def test_gauges_of_a_deleted_training_end() -> None:
    world = await a_world().running()
    world.progress.answer = Snapshot(phase="training", epoch=3, epochs=10)
    await world.later(seconds=10).settle()

    world.cluster.remove(TRAINING_JOB, "team", "churn")
    await world.reconcile()

    assert not [name for name in shown(world) if name.endswith("team churn")]


async def test_an_operator_that_starts_anew_counts_nothing_twice_and_shows_what_runs() -> None:
    world = await a_world().running()
    world.progress.answer = Snapshot(phase="training", epoch=3, epochs=10)
    await world.later(seconds=10).settle()

    await world.restart().settle()

    found = shown(world)
    assert found.pop("epoch team churn") == 3
    assert found == {}


async def test_stops_are_counted_by_what_stopped_them() -> None:
    world = await a_world().running()
    drained = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    world.end_pod(code=137)
    world.cluster.objects["pods", "team", "churn-worker-0-0-abcde"]["status"]["conditions"] = [drained]
    world.end_job()

    await world.settle()

    assert shown(world)["disruptions_total Evicted"] == 1


def test_all_metrics_share_a_registry() -> None:
    registry = CollectorRegistry()
    TrainingMetrics(registry)

    assert all(metric.name.startswith(PREFIX) for metric in registry.collect())
