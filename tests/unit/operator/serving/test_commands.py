"""Commands of a person: each acts once, whoever dies in between."""

import pytest

from support.deaths import Change, Moment, every_death
from support.serving import LABELS, NAMESPACE, World, a_model_service, a_succeeded_job
from trainyard_operator.cluster.kinds import MODEL_SERVICE, SERVICE
from trainyard_operator.serving.commands import Command, Order, command_in, order_in, text_of, unknown

PLAIN = a_model_service().following(**LABELS).with_replicas(3)
STEPPING = PLAIN.with_steps((25, "1m"), (50, "1m"))


async def a_canary() -> World:
    world = World().put(STEPPING).put_job(a_succeeded_job(1))
    await world.run()
    await world.put_job(a_succeeded_job(2)).run()
    assert world.versions() == {1: 3, 2: 1}
    return world


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("promote", Command.PROMOTE),
        ("abort: it is slow", Command.ABORT),
        (" pause :2026-12-01", Command.PAUSE),
        ("resume:1", Command.RESUME),
        ("retry", Command.RETRY),
        ("Promote", None),
        ("promote now", None),
        ("", None),
    ],
)
def test_the_words(text: str, expected: Command | None) -> None:
    assert command_in(text) is expected
    assert (unknown(text) is None) == (expected is not None or not text)


def test_what_a_service_says_was_ordered() -> None:
    assert order_in(str(Order(Command.PAUSE, "5f0c1b7e"))) == Order(Command.PAUSE, "5f0c1b7e")
    assert [order_in(text) for text in (None, "", "abort a", "pause", "pause ../x")] == [None] * 5
    assert len(text_of({"trainyard.dev/rollout": "x" * 10_000})) == 128


async def test_promote_gives_the_canary_all_requests_without_further_steps() -> None:
    world = await a_canary()

    await world.order("promote").reconcile()
    assert world.versions() == {1: 3, 2: 1}
    await world.run()

    assert world.versions() == {2: 3}
    assert world.status()["obeyed"] == "promote"


async def test_a_command_acts_once_and_again_with_another_text() -> None:
    world = await a_canary()
    await world.order("promote").run()
    await world.later(seconds=15).run()

    await world.put_job(a_succeeded_job(3)).run()
    assert world.versions() == {2: 3, 3: 1}

    await world.order("promote:2").run()
    assert world.versions() == {3: 3}


async def test_a_command_that_was_taken_away_acts_again() -> None:
    world = await a_canary()
    await world.order("abort").run()
    await world.order(None).later(seconds=5).run()
    await world.put_job(a_succeeded_job(3)).run()
    assert world.versions() == {1: 3, 3: 1}

    await world.order("abort").run()

    assert world.versions() == {1: 3}


async def test_a_command_while_nothing_rolls_out_is_for_nothing_later() -> None:
    world = World().put(STEPPING).put_job(a_succeeded_job(1))
    await world.run()
    await world.order("promote").run()

    await world.put_job(a_succeeded_job(2)).run()

    assert world.versions() == {1: 3, 2: 1}


async def test_abort_sends_the_canary_back_and_retry_tries_it_again_once() -> None:
    world = await a_canary()

    await world.order("abort").reconcile()
    assert world.versions() == {1: 3}
    assert world.condition("Degraded") == ("True", "RolledBack")
    assert "because a person said abort" in world.message("Ready")
    await world.run()

    await world.order("retry").run()
    assert world.versions() == {1: 3, 2: 1}
    assert world.condition("Degraded") == ("False", "AsExpected")

    await world.order("abort:2").run()
    await world.order("retry").run()
    assert world.versions() == {1: 3, 2: 1}


async def test_abort_also_ends_a_rollout_that_has_no_steps() -> None:
    world = World().put(PLAIN).put_job(a_succeeded_job(1))
    await world.run()
    await world.put_job(a_succeeded_job(2)).reconcile()

    await world.order("abort").run()

    assert world.versions() == {1: 3}
    assert len(world.deployments()) == 1


async def test_promote_overrules_what_was_sent_back() -> None:
    world = await a_canary()
    await world.order("abort").run()

    await world.order("promote").run()

    assert world.versions() == {2: 3}


@pytest.mark.parametrize("service", [PLAIN, STEPPING], ids=["all at once", "steps"])
async def test_a_paused_rollout_takes_no_step_until_it_is_resumed(service: object) -> None:
    world = World().put(service).put_job(a_succeeded_job(1))  # type: ignore[arg-type]
    await world.run()
    await world.put_job(a_succeeded_job(2)).reconcile()
    await world.order("pause").run()
    await world.restart().later(hours=1).run()

    assert world.versions() == {1: 3}
    assert world.condition("Progressing") == ("True", "Paused")
    assert "version 1 of churn keeps serving" in world.message("Ready")

    await world.order("resume").run()
    assert world.versions() == ({2: 3} if service is PLAIN else {1: 3, 2: 1})


async def test_a_paused_canary_keeps_its_share() -> None:
    world = await a_canary()
    await world.order("pause").later(hours=1).run()

    assert world.versions() == {1: 3, 2: 1}
    assert world.condition("Ready") == ("False", "Paused")
    assert (await world.reconcile()).requeue_after == 60

    await world.order("resume").run()
    assert world.versions() == {1: 3, 2: 3}


async def test_a_pause_is_for_the_revision_it_was_said_of() -> None:
    world = await a_canary()
    await world.order("pause").run()

    await world.put_job(a_succeeded_job(3)).run()
    await world.later(seconds=5).run()
    await world.later(minutes=1).run()

    assert world.versions() == {1: 3, 3: 3}


async def test_a_word_that_is_none_is_said() -> None:
    world = await a_canary()

    await world.order("promot").run()

    assert world.condition("Degraded") == ("True", "UnknownCommand")
    assert "got 'promot'" in world.message("Ready")
    assert world.versions() == {1: 3, 2: 1}


async def test_a_command_is_not_obeyed_again_when_the_service_is_made_anew() -> None:
    world = await a_canary()
    await world.order("promote").run()
    world.cluster.remove(SERVICE, NAMESPACE, "churn")
    await world.run()

    await world.later(seconds=15).put_job(a_succeeded_job(3)).run()

    assert world.versions() == {2: 3, 3: 1}


@pytest.mark.exhaustive
@pytest.mark.parametrize("moment", ["fail_at", "fail_after"])
@pytest.mark.parametrize(("command", "expected"), [("promote", {2: 3}), ("abort", {1: 3}), ("pause", {1: 3, 2: 1})])
async def test_killed_at_any_call_a_command_acts_once(moment: Moment, command: str, expected: dict[int, int]) -> None:
    def see_that_it_acted(world: World) -> None:
        assert world.versions() == expected

    life: list[Change[World]] = [
        lambda world: world.order(command),
        lambda world: world.later(minutes=2),
        see_that_it_acted,
        lambda world: world.later(minutes=1).put_job(a_succeeded_job(3)),
        lambda world: world.later(seconds=5),
    ]
    undisturbed, deaths = await a_canary(), 0
    undisturbed.cluster.calls.clear()

    async for death, world in every_death(undisturbed, life, moment):
        assert world.versions() == {next(iter(expected)): 3, 3: 1}, death
        assert world.cluster.peek(MODEL_SERVICE)[0]["metadata"]["annotations"] == {"trainyard.dev/rollout": command}
        deaths += 1
    assert deaths == len(undisturbed.cluster.calls) > 50
