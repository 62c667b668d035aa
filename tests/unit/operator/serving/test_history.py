"""What is remembered of revisions, which of them are kept, and the way back to them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from support.serving import (
    LABELS,
    NAMESPACE,
    ModelServiceBuilder,
    World,
    a_model_service,
    a_succeeded_job,
)
from trainyard_api.modelservice import HistoryEntry, ModelServiceStatus, RevisionStatus
from trainyard_operator.cluster.kinds import DEPLOYMENT, MODEL_SERVICE, TRAINING_JOB
from trainyard_operator.serving.gate import Gated, Refusal
from trainyard_operator.serving.history import MOST_ENTRIES, kept, park, record
from trainyard_operator.serving.rollout import Plan, Step
from trainyard_operator.serving.source import ModelVersion

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TIME = "2026-11-23T10:00:00Z"


def a_revision(name: str) -> RevisionStatus:
    return RevisionStatus(revision=name, model="churn", model_version=1, uri=f"pvc://models/{name}/1")


def a_status(current: str = "", following: str = "", history: Sequence[HistoryEntry] = ()) -> ModelServiceStatus:
    return ModelServiceStatus(
        current=a_revision(current) if current else None,
        next=a_revision(following) if following else None,
        history=list(history),
    )


def an_entry(revision: str, outcome: Any, *, served: bool = True) -> HistoryEntry:
    return HistoryEntry(
        revision=revision,
        model_version=1,
        uri=f"pvc://models/{revision}/1",
        outcome=outcome,
        time="2026-11-23T09:00:00Z",
        promoted="2026-11-23T08:00:00Z" if served else None,
    )


def a_deployment(parked: str = "") -> dict[str, Any]:
    return {"metadata": {"annotations": {"trainyard.dev/parked": parked} if parked else {}}}


def recorded(before: ModelServiceStatus, after: ModelServiceStatus, gated: Gated | None = None) -> list[str]:
    entries = record(before, after, gated, promoted=NOW, now=NOW)
    return [f"{entry.revision or entry.uri} {entry.outcome}" for entry in entries]


SERVED = [an_entry("a", "Promoted")]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(a_status(), a_status("", "a"), [], id="nothing has served"),
        pytest.param(a_status("", "a"), a_status("a"), ["a Promoted"], id="the first"),
        pytest.param(a_status("a"), a_status("a"), ["a Promoted"], id="from before there was a history"),
        pytest.param(a_status("a", "", SERVED), a_status("a"), ["a Promoted"], id="nothing new"),
        pytest.param(a_status("a", "b", SERVED), a_status("b"), ["b Promoted", "a Superseded"], id="the next"),
        pytest.param(
            a_status("a", "b", SERVED), a_status("a", "c"), ["b Superseded", "a Promoted"], id="given up for another"
        ),
        pytest.param(a_status("a", "b", SERVED), a_status("a"), ["b Superseded", "a Promoted"], id="given up"),
        pytest.param(
            a_status("b", "a", [an_entry("b", "Promoted"), an_entry("a", "Superseded")]),
            a_status("a"),
            ["a Promoted", "b Superseded", "a Superseded"],
            id="the way back",
        ),
    ],
)
def test_what_became_of_revisions(before: ModelServiceStatus, after: ModelServiceStatus, expected: list[str]) -> None:
    assert recorded(before, after) == expected
    again = after.model_copy(update={"history": record(before, after, None, promoted=NOW, now=NOW)})
    assert recorded(again, after) == expected


def test_the_times_are_those_of_the_promotion_and_of_the_outcome() -> None:
    first, second = record(a_status("a", "b", SERVED), a_status("b"), None, promoted=NOW, now=NOW)

    assert (first.promoted, first.time) == (TIME, TIME)
    assert (second.promoted, second.time) == ("2026-11-23T08:00:00Z", TIME)


def a_refusal(number: int, why: str = "its auc is 0.1") -> Refusal:
    return Refusal(ModelVersion("models", "churn", str(number)), why)


def test_a_refused_version_is_noted_once_and_again_when_the_reason_changes() -> None:
    before, after = a_status("a", "", SERVED), a_status("a")

    once = record(before, after, Gated(None, (a_refusal(3), a_refusal(2))), promoted=NOW, now=NOW)
    twice = record(a_status("a", "", once), after, Gated(None, (a_refusal(3), a_refusal(2))), promoted=NOW, now=NOW)
    other = record(a_status("a", "", once), after, Gated(None, (a_refusal(3, "worse"),)), promoted=NOW, now=NOW)

    assert [entry.model_version for entry in once] == [3, 2, 1]
    assert once[0].message == "its auc is 0.1"
    assert twice == once
    assert [(entry.model_version, entry.message) for entry in other[:2]] == [(3, "worse"), (2, "its auc is 0.1")]


def test_it_is_bounded_and_keeps_the_newest() -> None:
    history = [an_entry(f"r{number}", "Superseded") for number in range(MOST_ENTRIES)]
    gated = Gated(None, tuple(a_refusal(number) for number in range(1000)))

    found = record(a_status("a", "", history), a_status("a"), gated, promoted=NOW, now=NOW)

    assert len(found) == MOST_ENTRIES
    assert found[0].outcome == "Promoted"
    assert sum(entry.outcome == "Refused" for entry in found) == 5


@pytest.mark.parametrize(
    ("count", "live", "expected"),
    [(0, "abcd", ""), (1, "abcd", "c"), (2, "abcd", "cb"), (9, "abcd", "cb"), (2, "abd", "b"), (2, "d", "")],
)
def test_the_revisions_that_served_last_are_kept(count: int, live: str, expected: str) -> None:
    history = [
        an_entry("d", "Promoted"),
        an_entry("x", "Superseded", served=False),
        an_entry("c", "Superseded"),
        an_entry("b", "RolledBack"),
        an_entry("d", "Superseded"),
        an_entry("a", "RolledBack", served=False),
    ]

    assert kept(history, count, {name: a_deployment() for name in live}) == frozenset(expected)


@pytest.mark.parametrize(("count", "expected"), [(1, "b"), (2, "be"), (3, "bef")])
def test_what_was_kept_is_kept_where_the_history_was_lost(count: int, expected: str) -> None:
    deployments = {name: a_deployment(since) for name, since in {"b": "", "e": "2", "f": "1", "g": ""}.items()}

    assert kept([an_entry("d", "Promoted"), an_entry("b", "Superseded")], count, deployments) == frozenset(expected)


def test_what_is_kept_is_stopped_once_and_not_removed() -> None:
    plan = Plan(Step.STABLE, None, remove=("a", "b", "c"))
    deployments = {"a": {"spec": {"replicas": 2}}, "b": {"spec": {"replicas": 0}}, "c": {"spec": {"replicas": 2}}}

    assert park(plan, {"a", "b"}, deployments) == replace(plan, remove=("c",), park=("a",))


# In a service's life.


def following(history: int = 0, version: int | None = None, **labels: str) -> ModelServiceBuilder:
    model = {"fromTraining": {"selector": {"matchLabels": labels or LABELS}}} | (
        {"version": version} if version else {}
    )
    service = a_model_service()
    return ModelServiceBuilder(service.manifest | {"spec": {"model": model, "history": history}})


async def a_world_that_served(*versions: int, history: int) -> World:
    world = World().put(following(history))
    for version in versions:
        world.put_job(a_succeeded_job(version))
        await world.run()
        await world.later(minutes=1).run()
        assert world.status()["current"]["modelVersion"] == version
    return world


def replicas(world: World) -> dict[str, int]:
    found = world.cluster.peek(DEPLOYMENT, NAMESPACE)
    return {one["metadata"]["annotations"]["trainyard.dev/model-uri"][-1]: one["spec"]["replicas"] for one in found}


def outcomes(world: World) -> list[str]:
    return [f"{entry['modelVersion']} {entry['outcome']}" for entry in world.status()["history"]]


async def test_the_last_revisions_are_kept_without_pods() -> None:
    world = await a_world_that_served(1, 2, 3, history=1)

    assert replicas(world) == {"2": 0, "3": 1}
    assert outcomes(world) == ["3 Promoted", "2 Superseded", "1 Superseded"]
    writes = len(world.cluster.writes)
    await world.settle()
    assert len(world.cluster.writes) == writes


async def test_a_lost_status_loses_no_revision_that_is_kept() -> None:
    world = await a_world_that_served(1, 2, 3, history=2)
    world.cluster.set_status(MODEL_SERVICE, NAMESPACE, "churn", {})

    await world.restart().run()
    await world.later(hours=1).run()

    assert replicas(world) == {"1": 0, "2": 0, "3": 1}


async def test_going_back_uses_what_is_kept() -> None:
    world = await a_world_that_served(1, 2, history=1)
    kept_uid = {one["metadata"]["uid"] for one in world.cluster.peek(DEPLOYMENT, NAMESPACE)}

    world.update(following(1, version=1))
    await world.run()
    await world.later(minutes=1).run()

    assert world.status()["current"]["modelVersion"] == 1
    assert replicas(world) == {"1": 1, "2": 0}
    assert {one["metadata"]["uid"] for one in world.cluster.peek(DEPLOYMENT, NAMESPACE)} == kept_uid
    assert outcomes(world) == ["1 Promoted", "2 Superseded", "1 Superseded"]


async def test_a_pinned_version_stays_whatever_is_trained_later() -> None:
    world = await a_world_that_served(1, 2, history=0)
    world.update(following(version=2))
    world.put_job(a_succeeded_job(3))
    await world.run()

    assert world.status()["current"]["modelVersion"] == 2

    world.update(following())
    await world.run()

    assert world.status()["current"]["modelVersion"] == 3


@pytest.mark.parametrize("kept_count", [0, 1])
@pytest.mark.parametrize("lost", ["nothing", "status"])
async def test_a_version_that_served_is_found_after_its_training_is_gone(kept_count: int, lost: str) -> None:
    world = await a_world_that_served(1, 2, history=kept_count)
    world.cluster.remove(TRAINING_JOB, NAMESPACE, "churn-1")
    if lost == "status":
        world.cluster.set_status(MODEL_SERVICE, NAMESPACE, "churn", {})

    world.update(following(kept_count, version=1))
    await world.run()

    remembered = lost == "nothing" or kept_count == 1
    assert world.status()["current"]["modelVersion"] == (1 if remembered else 2)
    if not remembered:
        assert world.condition("Degraded") == ("True", "VersionNotFound")
        assert "there are: 2" in world.message("Ready")


async def test_a_version_that_nobody_offers_is_named_and_what_serves_goes_on() -> None:
    world = await a_world_that_served(1, history=0)

    world.update(following(version=7))
    await world.run()

    assert world.condition("Degraded") == ("True", "VersionNotFound")
    assert world.condition("Available")[0] == "True"
    assert world.status()["current"]["modelVersion"] == 1


async def test_the_gate_is_not_asked_of_a_pinned_version() -> None:
    world = await a_world_that_served(1, 2, history=0)
    service = following(version=1)
    service.manifest["spec"]["gate"] = [{"metric": "auc", "atLeast": 1.0}]

    world.update(service)
    await world.run()

    assert world.status()["current"]["modelVersion"] == 1


async def test_a_pinned_number_does_not_move_to_another_model() -> None:
    world = await a_world_that_served(1, 2, history=0)
    world.update(following(version=2))
    other = a_succeeded_job(2, name="other", completed="2026-11-24T09:00:00Z")
    other["status"]["model"] |= {"uri": "pvc://models/other/2", "name": "other"}
    world.put_job(other)
    await world.run()

    assert world.status()["current"]["model"] == "churn"


async def test_history_0_removes_what_was_kept() -> None:
    world = await a_world_that_served(1, 2, history=1)

    world.update(following(0))
    await world.run()

    assert replicas(world) == {"2": 1}
