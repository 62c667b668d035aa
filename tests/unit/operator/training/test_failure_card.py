"""The failure card: the kind of a failure, and what of a log may stand in a status."""

from typing import Any

import pytest

from support.training import World, a_report, a_training_job
from trainyard_operator.training.failure_card import classify, tail


@pytest.mark.parametrize(
    ("reason", "message", "code", "expected"),
    [
        pytest.param("Error", "exit code 1: KeyError: 'x'", 1, "ApplicationError", id="a crash"),
        pytest.param("OOMKilled", "", 137, "OutOfMemory", id="killed by the kernel"),
        pytest.param("OOMKilled", "", 2, "OutOfMemory", id="and a handler that says bad input"),
        pytest.param("Error", "exit code 1: MemoryError", 1, "OutOfMemory", id="Python noticed"),
        pytest.param("Error", "OOM when allocating tensor", 1, "OutOfMemory", id="TensorFlow noticed"),
        pytest.param("NoSuchColumn", "", 2, "BadData", id="bad input, in the trainer's word"),
        pytest.param("NaN", "", 3, "Diverged", id="diverged, in the program's word"),
        pytest.param("Stopped", "", 75, "Preempted", id="stopped"),
        pytest.param("TooManyStops", "", None, "Preempted", id="stopped too often"),
        pytest.param("NodeLost", "", None, "NodeLost", id="the node is gone"),
        pytest.param("ImagePullFailed", "", None, "ImagePull", id="no image"),
        pytest.param("Unschedulable", "", None, "Unschedulable", id="no node"),
        pytest.param("StartupTimeout", "", None, "NotStarted", id="not started"),
        pytest.param("Stalled", "", None, "Stalled", id="stalled"),
        pytest.param("DeadlineExceeded", "", None, "DeadlineExceeded", id="out of time"),
        pytest.param("InvalidSpec", "", None, "InvalidSpec", id="a spec of another version"),
    ],
)
def test_the_kind_of_a_failure(reason: str, message: str, code: int | None, expected: str) -> None:
    assert classify(reason, message, code) == expected


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param("", [], id="none"),
        pytest.param("a\n\n  \nb\n", ["a", "b"], id="lines that say something"),
        pytest.param("1/9\r2/9\rdone\n", ["1/9", "2/9", "done"], id="a progress bar"),
        pytest.param("\x1b[31mred\x1b[0m\x07\n", ["[31mred [0m"], id="control characters"),
        pytest.param("\n".join(map(str, range(30))), [str(n) for n in range(10, 30)], id="the last twenty"),
        pytest.param("password=hunter2 user=me", ["password=*** user=me"], id="a password"),
        pytest.param('{"apiKey": "abc", "step": 3}', ['{"apiKey": ***, "step": 3}'], id="a key in JSON"),
        pytest.param("AWS_SECRET_ACCESS_KEY: abc/def+1", ["AWS_SECRET_ACCESS_KEY: ***"], id="a key of AWS"),
        pytest.param("Authorization: Bearer abcdefgh.ij", ["Authorization: ***"], id="a bearer token"),
        pytest.param("GET s3://me:pw@host/bucket", ["GET s3://***@host/bucket"], id="credentials of a URL"),
        pytest.param("using AKIAABCDEFGHIJKLMNOP", ["using ***"], id="an id of AWS"),
        pytest.param("maxTokens: 20000 tokens=9", ["maxTokens: 20000 tokens=9"], id="tokens of a text are no secret"),
    ],
)
def test_the_last_lines_of_a_log(log: str, expected: list[str]) -> None:
    assert tail(log) == expected


def test_the_last_lines_are_two_kilobytes_at_most() -> None:
    kept = tail("\n".join(f"{n} " + "é" * 300 for n in range(20)))

    assert len(kept) == 3
    assert kept[-1].startswith("19 ")
    assert len("\n".join(kept).encode()) <= 2048


POD = "churn-worker-{}-0-abcde"


async def failed(**ended: Any) -> World:
    world = await World().put(a_training_job().with_run_policy(maxRestarts=0)).running()
    world.cluster.logs[POD.format(0)] = "step 1\nstep 2\nboom token=abc\n"
    world.fail(**({"code": 7, "message": "boom"} | ended))
    await world.settle()
    return world


async def test_the_card_of_a_failed_training_outlives_its_pods() -> None:
    world = await failed()
    world.cluster.objects.pop(("pods", "team", POD.format(0)))

    await world.later(hours=1).settle()

    assert world.status()["failure"] == {
        "reason": "Error",
        "reasonClass": "ApplicationError",
        "message": "exit code 7: boom",
        "attempt": 0,
        "exitCode": 7,
        "node": "node-1",
        "role": "worker",
        "logTail": ["step 1", "step 2", "boom token=***"],
    }
    assert world.status()["attempts"][0]["reason"] == "Error"


async def test_a_log_that_cannot_be_read_gives_way_to_what_kubernetes_kept() -> None:
    world = await World().put(a_training_job().with_run_policy(maxRestarts=0)).running()
    world.fail(code=7, message="Traceback\nKeyError: 'x'")

    await world.settle()

    assert world.status()["failure"]["logTail"] == ["Traceback", "KeyError: 'x'"]


async def test_a_report_is_no_log() -> None:
    world = await World().put(a_training_job().with_run_policy(maxRestarts=0)).running()
    world.fail(code=2, message=a_report(reason="NoSuchColumn", message="no column y", model=None))

    await world.settle()

    assert world.status()["failure"]["logTail"] == []
    assert world.status()["failure"]["reasonClass"] == "BadData"


async def test_the_log_of_a_stalled_trainer_is_read_before_its_pod_goes() -> None:
    world = await World().put(a_training_job().with_run_policy(activeDeadline="1h")).running()
    world.cluster.logs[POD.format(0)] = "waiting for a lock\n"

    await world.later(hours=1).settle()

    assert world.status()["failure"]["logTail"] == ["waiting for a lock"]
    assert world.status()["failure"]["reasonClass"] == "DeadlineExceeded"
    assert world.jobs() == []


async def test_many_stops_are_of_the_kind_of_the_last() -> None:
    world = await World().put(a_training_job().with_worker(replicas=2).with_run_policy(maxDisruptions=0)).running()
    lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "node-2 gone"}
    world.end_pod(index=1, code=137)
    pod = world.cluster.objects["pods", "team", "churn-worker-0-1-abcde"]
    pod["status"]["conditions"] = [lost]
    world.end_job(reason="PodFailurePolicy")

    await world.settle()

    failure = world.status()["failure"]
    assert (failure["reason"], failure["reasonClass"], failure["index"]) == ("TooManyStops", "NodeLost", 1)
    assert "node-2 gone" in failure["message"]


async def test_the_events_of_a_life_tell_it_and_each_thing_once() -> None:
    world = await World().put(a_training_job().with_run_policy(maxRestarts=1)).running()
    world.fail(code=1, message="first")
    await world.settle()
    world.remove_pod()
    await world.later(seconds=10).running(1)
    world.fail(1, code=1, message="second")
    await world.settle()
    await world.later(minutes=1).restart().settle()

    told = [f"{event.reason}: {event.message}" for _, _, event in world.cluster.events]
    assert told == [
        "TrainingStarted: Started the training",
        "AttemptFailed: Attempt 0 failed. Error: exit code 1: first",
        "TrainingRestarted: Started attempt 1",
        "Failed: Error: failed 2 times, and spec.runPolicy.maxRestarts is 1; the last: exit code 1: second",
    ]
