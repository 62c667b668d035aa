import pytest

from support.fake_cluster import FakeCluster
from support.training import NAMESPACE, a_training_job
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import TRAINING_JOB
from trainyard_operator.runtime.backoff import Backoff
from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.runtime.resync import Resync
from trainyard_operator.runtime.router import Router


def a_resync(cluster: FakeCluster) -> Resync:
    metrics = Metrics("test")
    queue = WorkQueue(metrics)
    return Resync(
        cluster=cluster,
        kinds=(TRAINING_JOB,),
        namespaces=(None,),
        router=Router(queue, metrics),
        queue=queue,
        backoff=Backoff(),
        metrics=metrics,
        period=600,
        spread=60,
        jitter=lambda: 0.5,
    )


async def test_every_resource_is_reconciled_within_a_while() -> None:
    cluster = FakeCluster()
    cluster.put(TRAINING_JOB, a_training_job().build())
    resync = a_resync(cluster)
    assert resync.check() == "the resources have not been listed yet"

    await resync.once()

    assert resync.queue.delayed() == {Key("TrainingJob", NAMESPACE, "churn")}
    assert resync.check() is None


async def test_failures_of_what_is_gone_are_forgotten() -> None:
    resync = a_resync(FakeCluster())
    resync.backoff.next(Key("TrainingJob", NAMESPACE, "gone"))
    resync.backoff.next(Key("ModelService", NAMESPACE, "other"))

    await resync.once()

    assert resync.backoff.failing() == {Key("ModelService", NAMESPACE, "other")}


async def test_a_first_round_that_fails_is_fatal() -> None:
    cluster = FakeCluster()
    cluster.fail_at, cluster.failure = 0, NotFound("the server could not find the requested resource", code=404)

    with pytest.raises(NotFound):
        await a_resync(cluster).run()
