"""What tells apart the trainings whose checkpoints do not fit each other."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.prepared import look
from trainyard_trainer.fitting.fit import plan_digest
from trainyard_trainer.workers.cluster import Cluster


def a_cluster(workers: int) -> Cluster:
    return Cluster(tuple((f"worker-{index}", 2222) for index in range(workers)))


@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_the_same_before_and_after_the_rows_were_handed_over_to_the_training(workers: int, table: Path) -> None:
    prepared = look(table).prepared
    run = replace(prepared.run, cluster=a_cluster(workers))

    before = plan_digest(run, prepared.profile)
    assert prepared.profile.kept.take_training() is not None

    assert plan_digest(run, prepared.profile) == before


def test_streamed_rows_come_in_another_order_for_another_number_of_workers(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainyard_trainer.prepare.cache_bytes", lambda run: 0)
    prepared = look(table).prepared

    assert prepared.profile.kept.streamed
    digests = {
        plan_digest(replace(prepared.run, cluster=a_cluster(workers)), prepared.profile) for workers in (1, 2, 3)
    }
    assert len(digests) == 3
