from typing import Any

import pytest

from trainyard_operator.runtime.metrics import Metrics
from trainyard_operator.runtime.queue import WorkQueue
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.runtime.router import Router

TRAINING = Key("TrainingJob", "team", "churn")
SERVICE = Key("ModelService", "team", "web")


class Wired:
    def __init__(self) -> None:
        self.metrics = Metrics("test")
        self.queue = WorkQueue(self.metrics)
        self.router = Router(self.queue, self.metrics)

    async def woken(self) -> set[Key]:
        keys = set()
        while len(self.queue):
            keys.add(key := await self.queue.get())
            self.queue.done(key)
        return keys

    def objects(self, phase: str) -> float | None:
        return self.metrics.registry.get_sample_value("trainyard_objects", {"kind": "TrainingJob", "phase": phase})


def a_training(generation: int = 1, labels: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "churn", "namespace": "team", "uid": "u1", "generation": generation, "labels": labels or {}}
    return {"kind": "TrainingJob", "metadata": metadata, "spec": {}, "status": status}


def a_service(labels: dict[str, str]) -> dict[str, Any]:
    spec = {"model": {"fromTraining": {"selector": {"matchLabels": labels}}}}
    return {"kind": "ModelService", "metadata": {"name": "web", "namespace": "team", "uid": "u2"}, "spec": spec}


async def test_a_new_or_changed_resource_is_reconciled_and_an_own_status_write_is_not() -> None:
    wired = Wired()
    wired.router.parent(a_training())
    assert await wired.woken() == {TRAINING}

    wired.router.parent(a_training(phase="Running"))
    assert await wired.woken() == set()

    wired.router.parent(a_training(generation=2, phase="Running"))
    assert await wired.woken() == {TRAINING}


async def test_a_deleted_resource_is_reconciled_once_more() -> None:
    wired = Wired()
    wired.router.parent(a_training())
    await wired.woken()

    wired.router.parent(a_training(), gone=True)

    assert await wired.woken() == {TRAINING}


@pytest.mark.parametrize(
    ("label", "key"), [("trainyard.dev/training-job", TRAINING), ("trainyard.dev/model-service", SERVICE)]
)
async def test_a_child_wakes_its_parent(label: str, key: Key) -> None:
    wired = Wired()

    wired.router.child({"metadata": {"name": "x", "namespace": "team", "labels": {label: key.name}}})

    assert await wired.woken() == {key}


async def test_a_model_that_was_trained_wakes_the_services_that_select_it() -> None:
    wired = Wired()
    wired.router.parent(a_service({"model": "churn"}))
    wired.router.parent(a_training(labels={"model": "churn", "team": "a"}))
    await wired.woken()

    wired.router.parent(a_training(labels={"model": "churn", "team": "a"}, model={"uri": "pvc://models/churn/1"}))

    assert await wired.woken() == {SERVICE}


async def test_a_model_nobody_selects_wakes_nobody() -> None:
    wired = Wired()
    wired.router.parent(a_service({"model": "other"}))
    wired.router.parent(a_training(labels={"model": "churn"}))
    await wired.woken()

    wired.router.parent(a_training(labels={"model": "churn"}, model={"uri": "pvc://models/churn/1"}))

    assert await wired.woken() == set()


async def test_a_trained_job_that_loses_its_label_or_is_deleted_wakes_its_services() -> None:
    wired = Wired()
    wired.router.parent(a_service({"model": "churn"}))
    trained = a_training(labels={"model": "churn"}, model={"uri": "pvc://models/churn/1"})
    wired.router.parent(trained)
    await wired.woken()

    wired.router.parent(trained, gone=True)

    assert await wired.woken() == {TRAINING, SERVICE}


async def test_what_is_gone_is_not_looked_at_again_and_no_longer_counted() -> None:
    wired = Wired()
    wired.router.parent(a_training(phase="Running"))
    wired.queue.add_after(TRAINING, 60)
    await wired.woken()
    assert wired.objects("Running") == 1

    wired.router.parent(a_training(phase="Running"), gone=True)

    assert wired.objects("Running") == 0
    assert wired.queue.delayed() == set()


async def test_what_is_new_goes_before_what_was_reconciled_by_an_operator_before() -> None:
    wired = Wired()
    settled = a_service({"model": "x"}) | {"status": {"observedGeneration": 1}}
    settled["metadata"]["generation"] = 1
    wired.router.parent(settled)
    wired.router.parent(a_training())

    assert [await wired.queue.get(), await wired.queue.get()] == [TRAINING, SERVICE]
