import asyncio

import pytest

from support.fake_cluster import FakeCluster
from support.training import NAMESPACE, a_training_job
from trainyard_operator.cluster.errors import ApiError, Forbidden, NotFound, Unavailable
from trainyard_operator.cluster.kinds import TRAINING_JOB
from trainyard_operator.cluster.store import Store
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.runtime.resync import Resync
from trainyard_operator.runtime.router import Router

CHURN = Key("TrainingJob", NAMESPACE, "churn")


def a_resync(cluster: FakeCluster, *namespaces: str) -> Resync:
    metrics = Metrics("test")
    queue = WorkQueue(metrics)
    return Resync(
        cluster=cluster,
        stores={(kind, namespace): Store() for kind in (TRAINING_JOB,) for namespace in namespaces or (None,)},
        router=Router(queue, metrics),
        queue=queue,
        backoff=Backoff(),
        metrics=metrics,
        period=600,
        spread=60,
        jitter=lambda: 0.5,
    )


async def taken(resync: Resync) -> list[Key]:
    keys = []
    while len(resync.queue):
        keys.append(key := await resync.queue.get())
        resync.queue.done(key)
    return keys


async def test_what_a_list_shows_first_is_reconciled_at_once_and_once() -> None:
    cluster = FakeCluster()
    cluster.put(TRAINING_JOB, a_training_job().build())
    resync = a_resync(cluster)
    assert resync.check() == "the resources have not been listed yet"

    await resync.look(None)
    await resync.look(None)

    assert await taken(resync) == [CHURN]
    assert resync.check() is None


async def test_what_is_gone_without_a_word_is_reconciled_once_more_and_forgotten() -> None:
    cluster = FakeCluster()
    cluster.put(TRAINING_JOB, a_training_job().build())
    resync = a_resync(cluster)
    await resync.look(None)
    await taken(resync)
    cluster.remove(TRAINING_JOB, NAMESPACE, "churn")

    await resync.look(None)

    assert await taken(resync) == [CHURN]
    assert len(resync.stores[TRAINING_JOB, None]) == 0


async def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    cluster = FakeCluster()
    for namespace in ("one", "two"):
        job = a_training_job().build()
        job["metadata"] |= {"namespace": namespace, "uid": namespace}
        cluster.put(TRAINING_JOB, job)
    resync = a_resync(cluster, "one", "two")
    for namespace in ("one", "two"):
        await resync.look(namespace)
    await taken(resync)

    await resync.look("one")

    assert await taken(resync) == []


@pytest.mark.parametrize("error", [Forbidden("no", code=403), NotFound("no", code=404), Unavailable("no")])
async def test_a_list_that_does_not_go_through_takes_nothing_away(error: ApiError) -> None:
    cluster = FakeCluster()
    cluster.put(TRAINING_JOB, a_training_job().build())
    resync = a_resync(cluster)
    await resync.look(None)
    await taken(resync)
    cluster.fail_at, cluster.failure = len(cluster.calls), error

    with pytest.raises(type(error)):
        await resync.look(None)

    assert await taken(resync) == []
    assert len(resync.stores[TRAINING_JOB, None]) == 1


async def test_everything_is_looked_at_again_after_the_period_and_failures_of_what_is_gone_are_forgotten() -> None:
    cluster = FakeCluster()
    cluster.put(TRAINING_JOB, a_training_job().build())
    resync = a_resync(cluster)
    resync.period, resync.spread = 0.01, 0
    await resync.look(None)
    await taken(resync)
    resync.backoff.next(Key("TrainingJob", NAMESPACE, "gone"))

    task = asyncio.create_task(resync.run())
    assert await asyncio.wait_for(resync.queue.get(), 5) == CHURN
    task.cancel()

    assert resync.backoff.failing() == set()
