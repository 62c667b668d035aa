from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.workloads import NOW, Object, a_job, at
from trainyard_devcluster.controllers.job.spec import INDEX_KEY

from .world import World

INDEXED: Object = {"completionMode": "Indexed"}


def a_world(**spec: Any) -> World:
    return World(a_job(**spec)).settle()


def indexes_of(world: World) -> list[str]:
    return sorted(pod["metadata"]["annotations"][INDEX_KEY] for pod in world.pods.values())


def test_a_job_starts_one_pod_and_completes_with_it() -> None:
    world = a_world()
    [name] = world.running()
    assert world.status["active"] == 1
    assert world.status["startTime"] == at(0)
    world.end(name, 0)
    world.settle()
    assert world.conditions == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}
    assert world.status == world.status | {"succeeded": 1, "ready": 0, "terminating": 0, "completionTime": at(0)}
    assert "active" not in world.status
    assert world.status["uncountedTerminatedPods"] == {}
    assert world.events == ["Completed"]


def test_no_more_pods_run_than_parallelism_and_no_more_than_are_still_needed() -> None:
    world = a_world(completions=3, parallelism=2)
    assert len(world.running()) == 2
    for name in world.running():
        world.end(name, 0)
    assert len(world.settle().running()) == 1


def test_without_completions_one_success_is_enough_and_starts_nothing_new() -> None:
    world = a_world(parallelism=2)
    first, second = world.running()
    world.end(first, 0)
    assert world.settle().running() == [second]
    assert "Complete" not in world.conditions
    world.end(second, 1)
    assert world.settle().conditions["Complete"] == "CompletionsReached"
    assert (world.status["succeeded"], world.status["failed"]) == (1, 1)


def test_an_indexed_job_gives_every_pod_its_index_hostname_and_environment() -> None:
    world = a_world(**INDEXED, completions=3, parallelism=3)
    assert indexes_of(world) == ["0", "1", "2"]
    pod = next(pod for pod in world.pods.values() if pod["metadata"]["labels"][INDEX_KEY] == "2")
    assert pod["spec"]["hostname"] == "job-2"
    assert pod["spec"]["containers"][0]["env"] == [
        {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_KEY}']"}}}
    ]
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "job"
    assert pod["metadata"]["name"].startswith("job-2-")


def test_completed_indexes_are_written_and_not_run_again() -> None:
    world = a_world(**INDEXED, completions=4, parallelism=4)
    for name in world.running()[1:3]:
        world.end(name, 0)
    world.settle()
    assert (world.status["completedIndexes"], world.status["succeeded"], len(world.running())) == ("1-2", 2, 2)


def test_a_failed_pod_is_replaced_after_ten_seconds_and_at_its_own_index() -> None:
    world = a_world(**INDEXED, completions=2, parallelism=2)
    world.end(world.running()[0], 1)
    assert len(world.settle().running()) == 1
    assert len(world.wait(9).settle().running()) == 1
    assert len(world.wait(1).settle().running()) == 2
    assert indexes_of(world) == ["0", "0", "1"]


def test_one_failure_more_than_the_limit_fails_the_job_and_stops_its_pods() -> None:
    world = a_world(backoffLimit=0, parallelism=2, completions=2)
    world.end(world.running()[0], 1)
    world.settle()
    assert world.conditions == {"FailureTarget": "BackoffLimitExceeded", "Failed": "BackoffLimitExceeded"}
    assert world.running() == []
    assert world.status["failed"] == 2
    assert world.events == ["BackoffLimitExceeded"]


def test_restarts_in_place_count_towards_the_limit() -> None:
    world = a_world(backoffLimit=2)
    world.job["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    [name] = world.running()
    world.pods[name]["status"]["containerStatuses"] = [{"name": "main", "restartCount": 2, "state": {}}]
    assert world.settle().conditions["Failed"] == "BackoffLimitExceeded"


@pytest.mark.parametrize(("code", "reason", "failed"), [(2, "PodFailurePolicy", 1), (1, "BackoffLimitExceeded", 1)])
def test_the_failure_policy_decides_before_the_limit(code: int, reason: str, failed: int) -> None:
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}]
    world = a_world(backoffLimit=0, podFailurePolicy={"rules": rules})
    world.end(world.running()[0], code)
    assert world.settle().conditions["Failed"] == reason
    assert world.status["failed"] == failed


def test_an_ignored_failure_is_replaced_and_never_counted() -> None:
    rules = [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [75]}}]
    world = a_world(backoffLimit=0, podFailurePolicy={"rules": rules})
    world.end(world.running()[0], 75)
    world.settle().wait(10).settle()
    assert len(world.running()) == 1
    assert "failed" not in world.status


def test_a_deadline_fails_the_job() -> None:
    world = a_world(activeDeadlineSeconds=30)
    assert world.wait(29).settle().conditions == {}
    assert world.wait(1).settle().conditions["Failed"] == "DeadlineExceeded"


def test_a_suspended_job_gives_up_its_pods_uncounted_and_starts_its_clock_anew() -> None:
    world = a_world(activeDeadlineSeconds=30)
    world.job["spec"]["suspend"] = True
    world.settle()
    assert (world.running(), world.conditions) == ([], {"Suspended": "JobSuspended"})
    assert "failed" not in world.status
    world.wait(60).job["spec"]["suspend"] = False
    world.settle()
    assert (len(world.running()), world.conditions) == (1, {})
    assert world.status["startTime"] == at(60)
    assert world.events == ["Suspended", "Resumed"]


def test_a_job_made_suspended_has_not_started() -> None:
    world = a_world(suspend=True)
    assert (world.running(), "startTime" in world.status) == ([], False)


def test_less_parallelism_takes_pods_down_without_counting_them() -> None:
    world = a_world(completions=5, parallelism=4)
    world.job["spec"]["parallelism"] = 1
    world.settle()
    assert len(world.running()) == 1
    assert "failed" not in world.status


def test_of_two_pods_at_one_index_one_goes() -> None:
    world = a_world(**INDEXED, completions=1)
    [pod] = world.pods.values()
    twin = pod | {"metadata": pod["metadata"] | {"name": "twin", "uid": "uid-twin"}}
    world.pods["twin"] = twin
    assert len(world.settle().running()) == 1


def test_a_pod_that_ends_slowly_is_replaced_at_once_unless_only_failed_ones_are() -> None:
    for policy, running in (("TerminatingOrFailed", 2), ("Failed", 1)):
        world = a_world(podReplacementPolicy=policy)
        [pod] = world.pods.values()
        pod["metadata"]["deletionTimestamp"] = at(0)
        world.wait(10).settle()
        assert len(world.running()) == running
        assert world.status["terminating"] == 1 or policy == "TerminatingOrFailed"


def test_with_a_limit_per_index_only_that_index_fails() -> None:
    world = a_world(**INDEXED, completions=2, parallelism=2, backoffLimitPerIndex=1)
    world.end(world.running()[0], 1)
    world.settle().wait(10).settle()
    world.end(next(name for name in world.running() if name.startswith("job-0-")), 1, finished=10)
    world.settle()
    assert (world.status["failedIndexes"], world.conditions, len(world.running())) == ("0", {}, 1)
    world.end(world.running()[0], 0)
    assert world.settle().conditions["Failed"] == "FailedIndexes"
    assert (world.status["completedIndexes"], world.status["failed"]) == ("1", 2)
    assert all(not pod["metadata"]["finalizers"] for pod in world.pods.values())


def test_fail_index_does_not_wait_for_the_limit() -> None:
    rules = [{"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [2]}}]
    spec = INDEXED | {"completions": 2, "parallelism": 2, "backoffLimitPerIndex": 5, "maxFailedIndexes": 0}
    world = a_world(**spec, podFailurePolicy={"rules": rules})
    world.end(world.running()[0], 2)
    assert world.settle().conditions["Failed"] == "MaxFailedIndexesExceeded"


def test_a_success_policy_ends_the_job_early() -> None:
    policy = {"rules": [{"succeededIndexes": "0", "succeededCount": 1}]}
    world = a_world(**INDEXED, completions=3, parallelism=3, successPolicy=policy)
    world.end(world.running()[0], 0)
    assert world.settle().conditions == {"SuccessCriteriaMet": "SuccessPolicy", "Complete": "SuccessPolicy"}
    assert world.running() == []
    assert "failed" not in world.status


def test_a_job_that_is_being_deleted_starts_nothing() -> None:
    world = World(a_job(deleted=True)).settle()
    assert world.pods == {}


@pytest.mark.parametrize("indexed", [False, True])
@given(choices=st.lists(st.integers(0, 99), max_size=80))
def test_every_pod_is_counted_exactly_once_wherever_the_controller_is_killed(indexed: bool, choices: list[int]) -> None:
    world = World(a_job(**(INDEXED if indexed else {}), completions=3, parallelism=2, backoffLimit=4))
    for choice in choices:
        crash_after, what = divmod(choice, 10)
        for call, _ in enumerate(world.sync()):
            if call == crash_after:
                break
        running = world.running()
        if running and what in (0, 1, 2):
            world.end(running[what % len(running)], what % 2, finished=(world.now - NOW).total_seconds())
        elif world.pods and what == 3:
            world.delete(next(iter(world.pods.values())))
        elif what == 4:
            world.wait(300)
    for _ in range(40):
        world.wait(600).settle()
        if {"Complete", "Failed"} & set(world.conditions):
            break
        for name in world.running():
            world.end(name, 0, finished=(world.now - NOW).total_seconds())
    ends = list(world.runs.values())
    assert world.status.get("failed", 0) == ends.count("Failed")
    assert ("Complete" in world.conditions) == (world.status.get("succeeded", 0) >= 3)
    if not indexed:
        assert world.status.get("succeeded", 0) == ends.count("Succeeded")
