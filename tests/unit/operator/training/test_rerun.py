"""Training again under the same name."""

from typing import Any

import pytest

from support.fake_cluster import Killed
from support.training import NAMESPACE, START, World, a_report, a_training_job
from trainyard_api.run_policy import RunPolicy
from trainyard_api.trainingjob import TrainingJobStatus
from trainyard_operator.cluster.kinds import POD
from trainyard_operator.training.rerun import begin, is_wanted

DATA = ["sha256:" + letter * 64 for letter in "ab"]


@pytest.mark.parametrize(
    ("policy", "status", "expected"),
    [
        pytest.param({"rerun": "b"}, {"completion_time": "2026-11-23T10:00:00Z"}, True, id="set after the end"),
        pytest.param({"rerun": "b"}, {"completion_time": "2026-11-23T10:00:00Z", "rerun": "a"}, True, id="changed"),
        pytest.param({"rerun": "b"}, {"completion_time": "2026-11-23T10:00:00Z", "rerun": "b"}, False, id="the same"),
        pytest.param({}, {"completion_time": "2026-11-23T10:00:00Z", "rerun": "b"}, False, id="taken away"),
        pytest.param({"rerun": "b"}, {"rerun": "a"}, False, id="not before the end"),
    ],
)
def test_when_a_training_trains_again(policy: dict[str, Any], status: dict[str, Any], expected: bool) -> None:
    assert is_wanted(RunPolicy.model_validate(policy), TrainingJobStatus(**status)) is expected


def test_ten_former_runs_are_kept() -> None:
    status = TrainingJobStatus(phase="Failed", completion_time="2026-11-23T10:00:00Z")
    for number in range(14):
        status = begin(status, str(number), now=START)

    assert (status.run, [former.run for former in status.runs]) == (14, list(range(4, 14)))
    assert status.runs[-1].outcome == "Replaced"


def report(version: int, data: str | None = DATA[0]) -> dict[str, Any]:
    model = a_report()["model"] | {"version": version, "path": f"churn/{version}"}
    return a_report(model=model | ({"dataFingerprint": data} if data else {}))


async def succeeded(**policy: Any) -> World:
    """A world whose training has failed once and then made version 1."""
    world = await World().put(a_training_job().with_run_policy(**policy)).running()
    world.fail(code=1, message="boom")
    await world.settle()
    await world.later(seconds=10).running(1)
    world.succeed(1, report(1))
    await world.settle()
    return world


async def again(world: World, token: str = "b") -> World:
    world.later(hours=1).update_spec(rerun=token)
    await world.settle()
    return world


async def test_a_new_token_trains_again_under_numbers_that_go_on() -> None:
    world = await again(await succeeded())
    assert world.jobs() == ["churn-worker-0", "churn-worker-1", "churn-worker-2"]
    status = world.status()
    assert (status["run"], status["rerun"], status["restarts"]) == (1, "b", 0)
    assert status["phase"] == "Starting"
    assert "completionTime" not in status
    assert world.conditions()["Succeeded"]["status"] == "False"

    await world.running(2)
    world.succeed(2, report(2, DATA[1]))
    await world.settle()

    status = world.status()
    assert (status["phase"], status["model"]["version"], status["restarts"]) == ("Succeeded", 2, 0)
    assert [each["n"] for each in status["attempts"]] == [2]
    (former,) = status["runs"]
    assert (former["outcome"], former["version"], former["attempts"]) == ("Succeeded", 1, 2)
    told = [event.reason for _, _, event in world.cluster.events]
    started = ["TrainingStarted", "AttemptFailed", "TrainingRestarted", "Succeeded"]
    assert told == [*started, "RerunStarted", "Succeeded", "DataChanged"]
    assert world.conditions()["DataChanged"]["status"] == "True"
    assert f"other data ({DATA[1]}) than version 1 ({DATA[0]})" in world.conditions()["DataChanged"]["message"]


async def test_the_trainer_knows_that_it_is_another_run() -> None:
    world = await again(await succeeded())

    def variables(attempt: int) -> dict[str, str]:
        (container,) = world.job(attempt)["spec"]["template"]["spec"]["containers"]
        return {each["name"]: each.get("value", "") for each in container["env"]}

    assert "TRAINYARD_RUN" not in variables(1)
    assert variables(2)["TRAINYARD_RUN"] == "1"
    assert variables(1)["TRAINYARD_CHECKPOINT_DIR"].endswith("/uid-of-churn/checkpoints")
    assert variables(2)["TRAINYARD_CHECKPOINT_DIR"].endswith("/uid-of-churn-1/checkpoints")


@pytest.mark.parametrize(
    ("data", "expected"),
    [pytest.param(DATA[0], "False", id="the same data"), pytest.param(None, None, id="a program that does not say")],
)
async def test_data_that_did_not_change_is_no_news(data: str | None, expected: str | None) -> None:
    world = await (await again(await succeeded())).running(2)
    world.succeed(2, report(2, data))

    await world.settle()

    assert world.conditions().get("DataChanged", {}).get("status") == expected
    assert "Normal DataChanged" not in world.events()


async def test_the_model_of_before_stays_until_there_is_another() -> None:
    world = await again(await succeeded())
    assert world.status()["model"]["version"] == 1
    assert world.status()["model"]["created"] == world.status()["runs"][0]["ended"]

    await world.running(2)
    world.fail(2, code=2, message="no such column")
    await world.settle()

    assert (world.status()["phase"], world.status()["model"]["version"]) == ("Failed", 1)


async def test_a_failed_training_can_train_again_with_its_whole_budget() -> None:
    world = await World().put(a_training_job().with_run_policy(maxRestarts=1)).running()
    for attempt in range(2):
        world.fail(attempt, code=1)
        await world.settle()
        if attempt == 0:
            await world.later(seconds=10).running(1)
    assert world.status()["phase"] == "Failed"

    await (await again(world.later(hours=5))).running(2)
    world.fail(2, code=1)
    await world.settle()
    await world.later(seconds=10).running(3)

    assert [each["outcome"] for each in world.status()["attempts"]] == ["Failed", "Running"]
    assert world.status()["restarts"] == 1
    assert world.status()["runs"][0]["reason"] == "Error"


async def test_a_token_that_changes_while_it_trains_waits_for_the_end() -> None:
    world = await World().put(a_training_job().with_run_policy(rerun="a")).running()
    world.update_spec(rerun="b")
    await world.settle()
    assert world.jobs() == ["churn-worker-0"]

    world.succeed(message=report(1))
    await world.settle()

    assert world.jobs() == ["churn-worker-0", "churn-worker-1"]
    assert (world.status()["run"], world.status()["rerun"]) == (1, "b")


async def test_a_token_that_is_there_from_the_start_asks_for_nothing_more() -> None:
    world = await World().put(a_training_job().with_run_policy(rerun="a")).running()
    world.succeed(message=report(1))

    await world.settle()
    await world.restart().settle()

    assert world.jobs() == ["churn-worker-0"]
    assert world.status()["phase"] == "Succeeded"


async def test_what_was_cleaned_up_is_made_anew() -> None:
    world = await succeeded(ttlAfterFinished="1h")
    await world.later(hours=2).settle()
    assert world.jobs() == []

    await again(world)

    assert world.jobs() == ["churn-worker-2"]


async def test_only_the_jobs_of_the_run_before_are_kept() -> None:
    world = await (await again(await succeeded())).running(2)
    world.succeed(2, report(2))
    await world.settle()

    await again(world, "c")

    assert world.jobs() == ["churn-worker-2", "churn-worker-3"]


async def test_a_pod_of_the_run_before_that_still_trains_ends_first() -> None:
    world = await World().put(a_training_job().with_run_policy(activeDeadline="1h")).running()
    await world.later(hours=1).reconcile()
    assert world.status()["phase"] == "Failed"
    assert world.jobs() == ["churn-worker-0"]
    world.update_spec(rerun="b", activeDeadline=None)

    await world.reconcile()
    assert world.jobs() == []
    await world.settle()

    assert world.jobs() == ["churn-worker-1"]
    assert world.cluster.peek(POD, NAMESPACE) == []


@pytest.mark.parametrize("lost", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_an_operator_killed_at_any_call_begins_one_run(lost: bool) -> None:
    killed = 0
    for number in range(25):
        world = await succeeded()
        world.later(hours=1).update_spec(rerun="b")
        world.cluster.calls.clear()
        world.cluster.fail_at, world.cluster.fail_after = (None, number) if lost else (number, None)
        try:
            await world.settle()
        except Killed:
            killed += 1
        world.cluster.fail_at = world.cluster.fail_after = None
        await world.restart().settle()
        assert world.jobs() == ["churn-worker-0", "churn-worker-1", "churn-worker-2"]
        assert (world.status()["run"], len(world.status()["runs"])) == (1, 1)
        assert [event.reason for _, _, event in world.cluster.events].count("RerunStarted") == 1
    assert killed > 5
