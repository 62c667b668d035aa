"""Which processes train together, by TF_CONFIG."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.trainer_runs import SpecBuilder, a_spec, run, write_table
from trainyard_trainer.errors import BadInput
from trainyard_trainer.workers.cluster import Cluster, jobs, read_cluster, shown

TWO = ["a:1", "b:2"]
SERVED = {"chief": ["c:9"], "worker": TWO, "ps": ["p:3"]}


def tf_config(cluster: Any, kind: Any = "worker", index: Any = 0) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, Cluster()),
        ({"TF_CONFIG": " "}, Cluster()),
        (tf_config({"worker": ["a:1"]}), Cluster()),
        (tf_config({"worker": TWO}, index=1), Cluster((("a", 1), ("b", 2)), 1)),
        (tf_config({"worker": ["[::1]:1", "b:2"]}), Cluster((("::1", 1), ("b", 2)), 0)),
        (tf_config({"chief": ["c:9"], "worker": TWO}, "chief"), Cluster((("c", 9), ("a", 1), ("b", 2)), 0)),
        (tf_config({"chief": ["c:9"], "worker": TWO}, index=1), Cluster((("c", 9), ("a", 1), ("b", 2)), 2)),
        (tf_config(SERVED, "chief"), Cluster((("c", 9), ("a", 1), ("b", 2), ("p", 3)), 0, servers=1)),
        (tf_config(SERVED, index=1), Cluster((("c", 9), ("a", 1), ("b", 2), ("p", 3)), 2, servers=1)),
        (tf_config(SERVED, "ps"), Cluster((("c", 9), ("a", 1), ("b", 2), ("p", 3)), 3, servers=1)),
    ],
)
def test_workers_are_numbered_as_in_tensorflow_and_one_is_alone(env: dict[str, str], expected: Cluster) -> None:
    cluster = read_cluster(env)

    assert cluster == expected
    assert cluster.is_chief == (expected.index == 0)


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG is not JSON"),
        ({"TF_CONFIG": "[]"}, "not a JSON object"),
        ({"TF_CONFIG": "{}"}, "needs the objects cluster and task"),
        (tf_config({"worker": TWO, "ps": ["p:1"]}), "1 parameter servers, 0 chiefs and 2 workers"),
        (tf_config({"chief": ["c:1"], "ps": ["p:1"]}), "1 parameter servers, 1 chiefs and 0 workers"),
        (tf_config(SERVED | {"evaluator": ["e:1"]}), "tasks of type evaluator, which this trainer does not run"),
        (tf_config(SERVED, "ps", 1), "task.index is 1, expected 0 to 0 for type ps"),
        (tf_config(SERVED, "evaluator"), "task.type is 'evaluator', expected worker, chief or ps"),
        (tf_config({"chief": TWO}, "chief"), "lists 2 processes, expected one"),
        (tf_config({"worker": "a:1"}), "must be a list of host:port"),
        (tf_config({"worker": ["a:1", "b"]}), "has 'b', expected host:port"),
        (tf_config({"worker": ["a:1", "b:0"]}), "has 'b:0', expected host:port"),
        (tf_config({"worker": ["a:1", "a:1"]}), "lists a:1 twice"),
        (tf_config({"worker": TWO}, "ps"), "task.type is 'ps', expected worker or chief"),
        (tf_config({"worker": TWO}, index=2), "task.index is 2, expected 0 to 1"),
        (tf_config({"worker": TWO}, index="0"), "task.index is '0', expected 0 to 1"),
        (tf_config({"worker": TWO}, "chief"), "cluster.chief lists no process"),
    ],
)
def test_a_wrong_tf_config_is_refused_with_what_to_change(env: dict[str, str], says: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_cluster(env)

    assert says in str(refused.value)


def test_with_parameter_servers_processes_are_called_by_what_they_do() -> None:
    cluster = read_cluster(tf_config(SERVED, "chief"))

    assert [cluster.name(number) for number in range(4)] == ["the chief", "worker 0", "worker 1", "parameter server 0"]
    assert list(cluster.workers) == [1, 2]
    assert jobs(["c:9", "a:1", "b:2", "p:3"], cluster.servers) == SERVED
    assert read_cluster(tf_config({"worker": TWO})).name(1) == "worker 1"


def test_an_address_is_shown_as_it_is_written() -> None:
    assert (shown(("a", 1)), shown(("::1", 2))) == ("a:1", "[::1]:2")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {"program": {"keras": {"family": "randomForest", "task": "binaryClassification"}}, "fit": {}},
            "family randomForest is trained by one worker",
        ),
        ({"privacy": {"targetEpsilon": 4.0}}, "a private training draws its rows for one device"),
        ({"fit": {"batchSize": 1}}, "less than a row for each of 2 workers"),
    ],
    ids=["trees", "privacy", "batch"],
)
def test_what_several_workers_cannot_do_is_refused_before_they_meet(
    spec: dict[str, Any], says: str, tmp_path: Path
) -> None:
    manifest = a_spec(write_table(tmp_path / "rows.csv")).manifest
    builder = SpecBuilder(manifest | {"spec": manifest["spec"] | spec})

    result = run(builder, tmp_path, tf_config({"worker": ["localhost:1", "localhost:2"]}))

    assert (result.code, result.report["reason"]) == (2, "BadInput")
    assert says in result.report["message"]


def test_float16_is_refused_with_parameter_servers(tmp_path: Path) -> None:
    spec = a_spec(write_table(tmp_path / "rows.csv")).with_fit(precision="mixed_float16")

    result = run(spec, tmp_path, tf_config(SERVED, "chief"))

    assert (result.code, result.report["reason"]) == (2, "BadInput")
    assert "whose scale of the loss workers with parameter servers cannot share" in result.report["message"]
