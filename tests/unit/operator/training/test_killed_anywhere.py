"""The operator dies at, or right after, every single call of a whole life, and nothing comes out differently."""

import pytest

from support.deaths import Moment, every_death
from support.lives import LIFE
from support.training import World


async def test_a_life_without_accidents_ends_well() -> None:
    world = World()
    for step in LIFE:
        step(world)
        await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["restarts"] == 2
    assert [each["outcome"] for each in world.status()["attempts"]] == ["Failed", "Stopped", "Failed", "Succeeded"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
async def test_dying_at_any_call_changes_nothing_in_the_end(moment: Moment) -> None:
    undisturbed, deaths = World(), 0

    async for death, world in every_death(undisturbed, LIFE, moment):
        assert world.cluster.remains() == undisturbed.cluster.remains(), death
        created = [each for each in world.cluster.writes if each == ("create", "jobs")]
        assert len(created) <= 5, death
        deaths += 1
    assert deaths == len(undisturbed.cluster.calls) > 100
