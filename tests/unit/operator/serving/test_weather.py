"""In any weather what serves goes on serving, and afterwards all is as on a fair day."""

import random
from contextlib import suppress
from pathlib import Path

import pytest

from support.fake_api import FakeApi, kubeconfig, serving
from support.serving import LABELS, World, a_model_service, a_succeeded_job, a_world_serving
from support.watching import Watching
from support.weather import Weather
from trainyard_api.names import REVISION_LABEL
from trainyard_operator.cluster.client import KubernetesCluster
from trainyard_operator.cluster.errors import ApiError, Unavailable
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE

FOLLOWING = a_model_service().following(**LABELS)


def assert_that_it_answers(world: World) -> None:
    assert any(
        pod["metadata"]["labels"][REVISION_LABEL] == world.serving() and pod["status"].get("podIP")
        for pod in world.cluster.peek(POD)
    ), "the Service points to nobody"


async def settle(world: World) -> None:
    """Let everybody act in fair weather until nothing changes."""
    for _ in range(20):
        before = world.cluster.version
        with suppress(ApiError):
            await world.reconcile()
            world.control()
            world.start_pods()
            if world.cluster.version == before:
                return
    raise AssertionError("the cluster does not come to rest in fair weather")


def changes(world: World) -> list[object]:
    """A rollout, a change of mind and a scaling, with the end of the drains."""
    return [
        lambda: world.put_job(a_succeeded_job(2)),
        lambda: world.later(seconds=20),
        lambda: world.update(FOLLOWING.with_replicas(2).with_server(image="tensorflow/serving:2.20.1")),
        lambda: world.later(seconds=20),
    ]


def assert_that_it_is_as_on_a_fair_day(world: World) -> None:
    assert world.status()["phase"] == "Ready"
    assert world.status()["current"]["modelVersion"] == 2
    assert world.deployments() == [f"churn-{world.serving()}"]
    assert len(world.pods_of(world.deployments()[0])) == 2


@pytest.mark.parametrize("seed", range(3))
async def test_wrong_answers_take_nothing_from_what_serves(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weather, world = Weather(seed), await a_world_serving()
    async with serving(FakeApi(world.cluster), weather.middleware) as server:
        (tmp_path / "config").write_text(kubeconfig(server))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        async with KubernetesCluster(timeout=5, sleep=_no_time) as world.port:
            for change in changes(world):
                change()  # type: ignore[operator]
                weather.share = 0.3
                for _ in range(4):
                    with suppress(ApiError):
                        await world.reconcile()
                    assert_that_it_answers(world)
                    world.control()
                    world.start_pods()
                weather.share = 0
                await settle(world)
    assert_that_it_is_as_on_a_fair_day(world)
    assert sum(weather.met.values()) > 10


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(12))
async def test_watches_that_lag_lie_and_fail_take_nothing_from_what_serves(seed: int) -> None:
    chance, world = random.Random(seed), await a_world_serving()
    watching = Watching(world.cluster)
    world.port, world.cluster.failure = watching.port, Unavailable("busy")
    for change in changes(world):
        change()  # type: ignore[operator]
        for _ in range(6):
            kinds = [kind for kind in watching.stores if chance.random() < 0.4]
            if kinds:
                watching.tell(*kinds)
            if chance.random() < 0.3:
                watching.lie(chance.choice([CONFIG_MAP, DEPLOYMENT, POD, SERVICE]))
            watching.reliable = chance.random() < 0.9
            call = len(world.cluster.calls) + chance.randrange(12)
            refused, lost = chance.choice([(call, None), (None, call), (None, None)])
            world.cluster.fail_at, world.cluster.fail_after = refused, lost
            with suppress(ApiError):
                await world.reconcile()
            assert_that_it_answers(world)
            world.control()
            world.start_pods()
        world.cluster.fail_at = world.cluster.fail_after = None
        watching.reliable = True
        for _ in range(3):
            watching.tell()
            watching.relist()
            await settle(world)
    assert_that_it_is_as_on_a_fair_day(world)


async def _no_time(_: float) -> None:
    """Wait for nothing."""
