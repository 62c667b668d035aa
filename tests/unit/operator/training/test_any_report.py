"""Whatever a program reports, its job ends, and the status can be written and shown."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.training import World, a_report, a_training_job
from trainyard_operator.cluster.errors import Invalid
from trainyard_operator.cluster.kinds import Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training.termination_message import Report, read


def a_checkpoint(time: str) -> dict[str, Any]:
    return {"lastCheckpoint": {"step": 1, "path": "x", "time": time}}


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        pytest.param(a_checkpoint("9999-12-31T23:59:59-23:59"), "lastCheckpoint", id="year 10000"),
        pytest.param(a_checkpoint("0001-01-01T00:00:00+23:59"), "lastCheckpoint", id="year 0"),
        pytest.param(a_checkpoint("0001-01-01T00:00:00Z"), "lastCheckpoint", id="the zero time of Go"),
        pytest.param(a_checkpoint("9999-12-31T23:59:59Z"), "lastCheckpoint", id="the end of time"),
        pytest.param({"metrics": {"\ud800": 1.0}}, "1 of its metrics", id="a lone surrogate"),
        pytest.param({"metrics": {"\x1b[2J\x1b[31mX\x07": 1.0}}, "1 of its metrics", id="a terminal"),
        pytest.param({"metrics": {"x" * 65: 1.0, "": 2.0}}, "2 of its metrics", id="names too long and too short"),
        pytest.param({"epochs": 10**2999}, "epochs", id="3,000 digits"),
        pytest.param({"steps": -1}, "steps", id="negative"),
        pytest.param({"epochs": 1.5}, "epochs", id="no whole number"),
    ],
)
async def test_what_cannot_be_used_is_left_out_and_told(fields: dict[str, Any], left_out: str) -> None:
    world = await World().put(a_training_job()).running()
    world.succeed(message=json.dumps(a_report(**fields)))

    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    message = world.conditions()["Succeeded"]["message"]
    assert message.endswith(f"left out of its result, because nothing can be made of it: {left_out}")
    text = json.dumps(world.status(), ensure_ascii=False)
    assert text.encode()
    assert "\x1b" not in text


async def test_a_number_that_python_refuses_to_read_is_left_out() -> None:
    world = await World().put(a_training_job()).running()
    world.succeed(message=json.dumps(a_report()).replace('"epochs": 10', '"epochs": ' + "9" * 5000))

    await world.settle()

    assert world.status()["phase"] == "Succeeded"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from(["epochs", "steps", "loss", "metrics", "lastCheckpoint", "reason", "message", "leftOut"])


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_json_is_read_into_what_can_be_shown(fields: dict[str, Any]) -> None:
    found = read(json.dumps(a_report(**fields)))

    if isinstance(found, Report):
        assert all(isinstance(name, str) and name.isprintable() for name in found.metrics)
        assert found.epochs is None or 0 <= found.epochs <= 2**53


@pytest.mark.parametrize("kept", [pytest.param(slice(-4096, None), id="end"), pytest.param(slice(4096), id="start")])
async def test_a_result_that_was_cut_is_said_to_be_and_tried_again(kept: slice) -> None:
    metrics = {f"metric_{number}": number / 7 for number in range(300)}
    message = json.dumps({"metrics": metrics} | a_report(metrics=metrics))
    world = await World().put(a_training_job()).running()
    world.succeed(message=message[kept])

    await world.settle()
    assert world.status()["failure"]["reason"] == "ResultCut"
    assert "4096 bytes" in world.status()["failure"]["message"]
    assert "leave metrics out" in world.status()["failure"]["message"]
    await world.later(seconds=5).running(1)
    world.end_pod(1, code=0, message=a_report())
    world.end_job(1, failed=False)
    await world.settle()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["model"]["version"] == 1


async def test_a_short_result_that_is_no_json_is_no_cut_one() -> None:
    world = await World().put(a_training_job()).running()
    world.succeed(message='{"epochs": ')

    await world.settle()

    assert world.status()["failure"]["reason"] == "InvalidResult"


async def test_a_status_that_is_refused_gives_way_to_a_minimal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().put(a_training_job()).running()
    world.succeed()
    apply_status = world.cluster.apply_status

    async def refuse(kind: Kind, manifest: Manifest) -> Manifest:
        if "progress" in manifest["status"]:
            raise Invalid("status.progress.metrics: Invalid value", code=422)
        return await apply_status(kind, manifest)

    monkeypatch.setattr(world.cluster, "apply_status", refuse)
    await world.reconcile()

    assert world.status()["phase"] == "Succeeded"
    assert world.status()["model"]["uri"] == "pvc://models/churn/1"
    assert "completionTime" in world.status()
    assert "the API server refuses the full status" in world.conditions()["Succeeded"]["message"]
    assert "status.progress.metrics" in world.conditions()["Succeeded"]["message"]
