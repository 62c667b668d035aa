"""What `kubectl get` shows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from support.objects import a_container, a_deployment, a_job, a_pod
from trainyard_devcluster.apiserver.builtin import builtin_resources
from trainyard_devcluster.apiserver.jsonpath import JsonPath
from trainyard_devcluster.apiserver.tables.age import human
from trainyard_devcluster.apiserver.tables.workloads import JOBS, pod_status

from .conftest import Object

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"), (0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (600, "10m"), (3600, "60m"),
        (3 * 3600, "3h"), (3 * 3600 + 120, "3h2m"), (9 * 3600, "9h"), (47 * 3600, "47h"), (2 * 86400, "2d"),
        (2 * 86400 + 3600, "2d1h"), (8 * 86400, "8d"), (729 * 86400, "729d"), (730 * 86400, "2y"),
        (900 * 86400, "2y170d"),        (3000 * 86400, "8y"),
    ],
)  # fmt: skip
def test_ages_are_short(seconds: int, shown: str) -> None:
    assert human(seconds) == shown


def running(**more: Any) -> Object:
    return {"name": "main", "ready": True, "restartCount": 0, "state": {"running": {}}} | more


def terminated(**state: Any) -> Object:
    return {"name": "main", "ready": False, "restartCount": 0, "state": {"terminated": state}}


def waiting(reason: str) -> Object:
    return {"name": "main", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Pending"}, "Pending"),
        ({"phase": "Running", "containerStatuses": [running()]}, "Running"),
        ({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}, "ContainerCreating"),
        ({"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]}, "CrashLoopBackOff"),
        ({"phase": "Succeeded", "containerStatuses": [terminated(reason="Completed", exitCode=0)]}, "Completed"),
        ({"phase": "Failed", "containerStatuses": [terminated(exitCode=3)]}, "ExitCode:3"),
        ({"phase": "Failed", "containerStatuses": [terminated(signal=9)]}, "Signal:9"),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
        ({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]}, "Init:0/1"),
        ({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 1}}}]},
         "Init:ExitCode:1"),
        ({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
         "SchedulingGated"),
    ],
)  # fmt: skip
def test_a_pod_is_summed_up_in_a_word(status: Object, shown: str) -> None:
    pod = a_pod(initContainers=[a_container("i")] if "initContainerStatuses" in status else []) | {"status": status}
    assert pod_status(pod, NOW) == shown


def test_a_pod_that_is_being_deleted_is_terminating() -> None:
    pod = a_pod() | {"metadata": {"name": "p", "deletionTimestamp": "2026-11-24T12:00:00Z"}}
    assert pod_status(pod | {"status": {"phase": "Running"}}, NOW) == "Terminating"


def test_a_job_shows_how_far_it_is() -> None:
    job = a_job(completions=3)
    job["metadata"]["creationTimestamp"] = "2026-11-24T11:00:00Z"
    job["status"] = {"succeeded": 1, "startTime": "2026-11-24T11:58:00Z"}
    cells = [column.cell(job, NOW) for column in JOBS[:5]]
    assert cells == ["train", "Running", "1/3", "2m", "60m"]
    job["status"] |= {"conditions": [{"type": "Failed", "status": "True"}]}
    assert JOBS[1].cell(job, NOW) == "Failed"


EXAMPLES: dict[str, Object] = {
    "Pod": a_pod(),
    "Job": a_job(),
    "HorizontalPodAutoscaler": {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": {"kind": "D", "name": "w"}}},
    "Service": {"metadata": {"name": "x"}, "spec": {}},
    **{
        kind: {"metadata": {"name": "x"}, "roleRef": {"kind": "R", "name": "r"}}
        for kind in ("RoleBinding", "ClusterRoleBinding")
    },
    **{kind: a_deployment() for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet")},
}


@pytest.mark.parametrize("resource", builtin_resources(), ids=lambda each: each.kind)
def test_every_column_finds_something_to_show(resource: Any) -> None:
    obj = EXAMPLES.get(resource.kind, {"metadata": {"name": "x"}})
    for column in resource.columns:
        assert column.cell(obj, NOW) is not None, column.name


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".a.b", [1]),
        ("{.a.b}", [1]),
        (".a['b']", [1]),
        (".none.b", []),
        (".list[0].n", ["x"]),
        (".list[-1].n", ["y"]),
        (".list[*].n", ["x", "y"]),
        ('.list[?(@.n=="y")].v', [2]),
        ('.list[?(@.n!="y")].v', [1]),
        (".dotted\\.key", [3]),
        (".a", [{"b": 1}]),
    ],
)
def test_json_paths(path: str, expected: list[Any]) -> None:
    value = {"a": {"b": 1}, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "dotted.key": 3}
    assert JsonPath.parse(path).find(value) == expected
