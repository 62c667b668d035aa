"""The operator dies at, or right after, every single call of a whole life, and nothing comes out differently."""

import copy
from typing import Any

import pytest

from support.fake_cluster import FakeCluster, Killed
from support.lives import LIFE
from support.training import World


async def _live(*, kill_at: int | None = None, kill_after: int | None = None) -> World:
    world = World()
    world.cluster.fail_at, world.cluster.fail_after = kill_at, kill_after
    for step in LIFE:
        step(world)
        await _survive(world)
    return world


async def _survive(world: World) -> None:
    try:
        await world.settle()
    except Killed:
        await world.restart().settle()


def _remains(cluster: FakeCluster) -> tuple[dict[Any, Any], list[str]]:
    """Return all objects without what numbers the writes, and all events."""
    objects = copy.deepcopy(cluster.objects)
    for each in objects.values():
        for field in ("uid", "resourceVersion", "ownerReferences"):
            each["metadata"].pop(field, None)
    return objects, sorted(str(event) for _, _, event in cluster.events)


async def test_a_life_without_accidents_ends_well() -> None:
    world = await _live()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["restarts"] == 2
    assert [each["outcome"] for each in world.status()["attempts"]] == ["Failed", "Stopped", "Failed", "Succeeded"]


@pytest.mark.parametrize("when", ["kill_at", "kill_after"])
async def test_dying_at_any_call_changes_nothing_in_the_end(when: str) -> None:
    undisturbed = await _live()
    expected = _remains(undisturbed.cluster)

    for number in range(len(undisturbed.cluster.calls)):
        world = await _live(**{when: number})

        call = undisturbed.cluster.calls[number]
        assert _remains(world.cluster) == expected, f"killed {when} call {number}: {call}"
        created = [each for each in world.cluster.writes if each == ("create", "jobs")]
        assert len(created) <= 5, f"killed {when} call {number}: {call}"
