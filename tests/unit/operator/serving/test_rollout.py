from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from trainyard_operator.serving.canary import Canary, CanaryStep, Rollback
from trainyard_operator.serving.commands import Command, Order
from trainyard_operator.serving.rollout import Plan, Rollout, Route, Step
from trainyard_operator.serving.room import Progress, Update

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DRAIN = timedelta(seconds=15)
LONG_AGO = NOW - timedelta(hours=1)
JUST_NOW = NOW - timedelta(seconds=5)


def rollout(target: str | None, route: Route | None = None, live: str = "", *, answers: bool = False) -> Rollout:
    return Rollout(target=target, route=route, live=live.split(), answers=answers, drain=DRAIN, now=NOW)


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        pytest.param(
            rollout("a"),
            Plan(Step.STAGING, Route("a")),
            id="the Service is there from the start",
        ),
        pytest.param(
            rollout("a", Route("a"), "a"),
            Plan(Step.STAGING, Route("a")),
            id="the first one starts",
        ),
        pytest.param(
            rollout("a", Route("a"), "a", answers=True),
            Plan(Step.PROMOTING, Route("a", NOW)),
            id="the first one that answers has earned the traffic",
        ),
        pytest.param(
            rollout("b", Route("a"), "a"),
            Plan(Step.STAGING, Route("b"), remove=("a",)),
            id="what never answered makes room at once",
        ),
        pytest.param(
            rollout("a", Route("a", LONG_AGO), "a", answers=True),
            Plan(Step.STABLE, Route("a", LONG_AGO)),
            id="what serves alone is left alone",
        ),
        pytest.param(
            rollout("a", Route("a", LONG_AGO), "a"),
            Plan(Step.STABLE, Route("a", LONG_AGO)),
            id="what serves keeps the traffic also while it does not answer",
        ),
        pytest.param(
            rollout("b", Route("a", LONG_AGO), "a b"),
            Plan(Step.STAGING, Route("a", LONG_AGO)),
            id="the traffic stays where it is until the new one answers",
        ),
        pytest.param(
            rollout("b", Route("a", LONG_AGO), "a b", answers=True),
            Plan(Step.PROMOTING, Route("b", NOW, "a"), wake_at=NOW + DRAIN),
            id="the new one answers and takes over, the old one goes on for a while",
        ),
        pytest.param(
            rollout("b", Route("b", JUST_NOW, "a"), "a b", answers=True),
            Plan(Step.DRAINING, Route("b", JUST_NOW, "a"), wake_at=JUST_NOW + DRAIN),
            id="the old one has its time",
        ),
        pytest.param(
            rollout("b", Route("b", NOW - DRAIN, "a"), "a b", answers=True),
            Plan(Step.STABLE, Route("b", NOW - DRAIN, "a"), remove=("a",)),
            id="the old one has had its time",
        ),
        pytest.param(
            rollout("c", Route("a", LONG_AGO), "a b"),
            Plan(Step.STAGING, Route("a", LONG_AGO), remove=("b",)),
            id="a newer one replaces the one that is being brought up",
        ),
        pytest.param(
            rollout("a", Route("a", LONG_AGO), "a b", answers=True),
            Plan(Step.STABLE, Route("a", LONG_AGO), remove=("b",)),
            id="going back to what serves ends the rollout",
        ),
        pytest.param(
            rollout("a", Route("b", JUST_NOW, "a"), "a b", answers=True),
            Plan(Step.PROMOTING, Route("a", NOW, "b"), wake_at=NOW + DRAIN),
            id="going back to what still drains takes a moment",
        ),
        pytest.param(
            rollout("c", Route("b", JUST_NOW, "a"), "a b c"),
            Plan(Step.STAGING, Route("b", JUST_NOW, "a"), wake_at=JUST_NOW + DRAIN),
            id="a rollout may begin while another one drains",
        ),
        pytest.param(
            rollout("c", Route("b", JUST_NOW, "a"), "a b c", answers=True),
            Plan(Step.PROMOTING, Route("c", NOW, "b"), remove=("a",), wake_at=NOW + DRAIN),
            id="only the last one before drains",
        ),
        pytest.param(
            rollout(None, Route("a", LONG_AGO), "a b"),
            Plan(Step.IDLE, Route("a", LONG_AGO)),
            id="nothing is touched while nobody knows what is wanted",
        ),
        pytest.param(rollout(None), Plan(Step.IDLE, None), id="there is nothing yet"),
    ],
)
def test_a_rollout_goes_one_safe_step_at_a_time(situation: Rollout, expected: Plan) -> None:
    assert situation.plan() == expected


STEPS = (CanaryStep(25, timedelta(minutes=1)), CanaryStep(100, timedelta(minutes=1)))
ROUTES = [
    None,
    *(Route(revision, promoted, "c") for revision in "ab" for promoted in (None, JUST_NOW, LONG_AGO)),
    *(
        Route("a", LONG_AGO, canary=Canary(revision=revision, step=step, since=LONG_AGO, reached=reached, alone=alone))
        for revision in "bc"
        for step in (0, 1, 2)
        for reached in (None, LONG_AGO)
        for alone in (False, True)
    ),
    Route("a", LONG_AGO, rolled_back=Rollback(revision="b", rollout="", time=LONG_AGO, message="slow")),
    Route("a", LONG_AGO, order=Order(Command.PAUSE, "b")),
    Route("a", LONG_AGO, order=Order(Command.PROMOTE, "b")),
    Route("a", LONG_AGO, progress=Progress(revision="b", since=LONG_AGO, yielded=2)),
]
UPDATES = [Update(), Update(one_by_one=True, floor=2), Update(deadline=timedelta(minutes=5))]


def every_situation() -> Iterator[Rollout]:
    """Yield a rollout in every state, with every news at the same time."""
    news = product(ROUTES, "ab", (0, 1, 3), (0, 3), ((), STEPS), ("", "promote", "abort", "pause", "retry"), UPDATES)
    for route, target, answering, stable, steps, command, update in news:
        yield Rollout(
            target=target,
            route=route,
            live=["a", "b", "c"],
            answers=answering == 3 or (answering > 0 and not stable),
            drain=DRAIN,
            now=NOW,
            steps=steps,
            replicas=3,
            answering=answering,
            stable_answers=stable > 0,
            stable_ready=stable,
            command=command,
            update=update,
            lacking=answering < 3,
        )


def test_in_every_situation_requests_go_to_pods_that_answer_and_are_kept() -> None:
    for situation in every_situation():
        plan = situation.plan()
        assert plan.route is not None
        before, route = situation.route, plan.route
        assert {route.revision}.isdisjoint(plan.remove)
        if route.canary:
            assert route.canary.revision not in plan.remove
            assert route.canary.revision == situation.target
            # Nothing gets all requests that does not answer, and the old revision is there for a way back.
            assert not route.canary.alone or situation.answering == 3
        if before and before.promoted and route.revision != before.revision:
            assert situation.answers, situation
        if plan.stable is not None:
            yielded = before.progress.yielded if before and before.progress else 0
            assert plan.stable >= situation.replicas - yielded - 1, situation


def test_in_every_situation_a_plan_that_was_carried_out_is_followed_by_the_same_route() -> None:
    for situation in every_situation():
        plan = situation.plan()
        again = replace(situation, route=plan.route).plan()
        if plan.step in (Step.STABLE, Step.DRAINING, Step.ROLLED_BACK):
            assert again.route == plan.route, situation


def test_what_takes_the_traffic_is_never_removed() -> None:
    routes = [None, *(Route(each, promoted, "c") for each in "ab" for promoted in (None, JUST_NOW, LONG_AGO))]

    for route in routes:
        for target in ("a", "b"):
            for answers in (False, True):
                found = rollout(target, route, "a b c", answers=answers).plan()
                assert found.route is not None
                assert {found.route.revision, target}.isdisjoint(found.remove)
