"""After any weather a training has ended as on a fair day, and nothing ever ran twice."""

import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.fake_api import FakeApi, kubeconfig, serving
from support.lives import LIFE
from support.training import World
from support.watching import Watching
from support.weather import Weather
from trainyard_operator.cluster.client import KubernetesCluster
from trainyard_operator.cluster.errors import ApiError, Unavailable
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, POD, SERVICE
from trainyard_operator.training.attempt_pods import ended_with

FAIR: dict[str, Any] = {
    "phase": "Succeeded",
    "restarts": 2,
    "outcomes": ["Failed", "Stopped", "Failed", "Succeeded"],
    "jobs": [f"churn-worker-{attempt}" for attempt in range(4)],
}


def essence(world: World) -> dict[str, Any]:
    status = world.status()
    return {
        "phase": status["phase"],
        "restarts": status["restarts"],
        "outcomes": [attempt["outcome"] for attempt in status["attempts"]],
        "jobs": world.jobs(),
    }


def assert_that_nothing_runs_twice(world: World) -> None:
    running = [job["metadata"]["name"] for job in world.cluster.peek(JOB) if ended_with(job) is None]
    assert len(running) <= 1, f"{running} run at the same time"


async def settle(world: World) -> None:
    """Reconcile until nothing changes; a conflict with what a lost answer has changed passes with the next try."""
    for _ in range(10):
        before = world.cluster.version
        try:
            await world.reconcile()
        except ApiError:
            continue
        if world.cluster.version == before:
            return
    raise AssertionError("the reconciler does not come to rest in fair weather")


async def test_on_a_fair_day() -> None:
    world = World()
    for step in LIFE:
        step(world)
        await settle(world)
    assert essence(world) == FAIR


@pytest.mark.parametrize("seed", range(3))
async def test_wrong_answers_change_nothing_in_the_end(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weather, world = Weather(seed), World()
    api = FakeApi(world.cluster)
    async with serving(api, weather.middleware) as server:
        (tmp_path / "config").write_text(kubeconfig(server))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        async with KubernetesCluster(timeout=5, sleep=_no_time) as cluster:
            world.progress.cluster = cluster
            world.reconciler = replace(world.reconciler, cluster=cluster)
            for step in LIFE:
                step(world)
                weather.share = 0.3
                for _ in range(4):
                    with suppress(ApiError):
                        await world.reconcile()
                    assert_that_nothing_runs_twice(world)
                weather.share = 0
                await settle(world)
    assert essence(world) == FAIR
    assert sum(weather.met.values()) > 20


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(12))
async def test_watches_that_lag_lie_and_fail_change_nothing_in_the_end(seed: int) -> None:
    chance, world = random.Random(seed), World()
    watching = Watching(world.cluster)
    world.reconciler = replace(world.reconciler, cluster=watching.port)
    world.cluster.failure = Unavailable("busy")
    for step in LIFE:
        step(world)
        for _ in range(4):
            kinds = [kind for kind in watching.stores if chance.random() < 0.4]
            if kinds:
                watching.tell(*kinds)
            if chance.random() < 0.2:
                watching.lie(chance.choice([CONFIG_MAP, JOB, POD, SERVICE]))
            watching.reliable = chance.random() < 0.9
            calls = len(world.cluster.calls) + chance.randrange(12)
            world.cluster.fail_at, world.cluster.fail_after = chance.choice(
                [(calls, None), (None, calls), (None, None)]
            )
            with suppress(ApiError):
                await world.reconcile()
            assert_that_nothing_runs_twice(world)
        world.cluster.fail_at = world.cluster.fail_after = None
        watching.reliable = True
        watching.tell()
        watching.relist()
        await settle(world)
    assert essence(world) == FAIR


async def _no_time(_: float) -> None:
    """Wait for nothing."""
