import json
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from trainyard_api.trainingjob import Progress
from trainyard_operator.runtime.pod_client import PodHttp
from trainyard_operator.training.progress import Snapshot, at_end, duration, parse
from trainyard_operator.training.progress_reader import HttpProgressReader
from trainyard_operator.training.termination_message import Report

ANSWER = {
    "phase": "training",
    "epoch": 3,
    "epochs": 10,
    "step": 30,
    "steps": 100,
    "percent": 30.5,
    "loss": 0.123456789,
    "metrics": {"val_loss": 0.5, "val_accuracy": 0.96875},
    "samplesPerSecond": 1234.5,
    "etaSeconds": 200.4,
    "lastStepTime": 1700000000.5,
    "lastCheckpoint": {"step": 20, "path": "ckpt-20", "time": "2026-11-23T10:00:00Z"},
}


def snapshot(**fields: Any) -> Snapshot:
    answer = parse(json.dumps(ANSWER | fields).encode())
    assert answer is not None
    return answer


def test_an_answer_becomes_the_numbers_of_the_status() -> None:
    assert snapshot().to_status() == Progress(
        epoch=3,
        epochs=10,
        step=30,
        steps=100,
        percent=30,
        summary="3/10",
        loss="0.1235",
        metrics={"val_loss": "0.5", "val_accuracy": "0.9688"},
        samples_per_second=1234,
        eta="3m20s",
    )
    checkpoint = snapshot().checkpoint()
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.time) == (20, "2026-11-23T10:00:00Z")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"loss": float("nan")}, {"loss": None}),
        ({"loss": None}, {"loss": None}),
        ({"loss": "low"}, {"loss": None}),
        ({"percent": 1e9}, {"percent": 100}),
        ({"percent": -5}, {"percent": 0}),
        ({"percent": None}, {"percent": 30}),
        ({"percent": None, "steps": 0, "step": 0}, {"percent": 30}),
        ({"percent": None, "steps": 0, "epochs": 0}, {"percent": 100}),
        ({"percent": None, "steps": 0, "epoch": 0, "epochs": 0}, {"percent": 0}),
        ({"etaSeconds": float("inf")}, {"eta": None}),
        ({"samplesPerSecond": -1}, {"samples_per_second": 0}),
        ({"metrics": {"ok": 1, "nan": float("nan"), "x" * 65: 1, "text": "1", "yes": True}}, {"metrics": {"ok": "1"}}),
        ({"metrics": ["a"]}, {"metrics": {}}),
    ],
)
def test_values_that_make_no_sense_are_taken_as_absent(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    status = snapshot(**fields).to_status().model_dump()

    assert expected.items() <= status.items()


@pytest.mark.parametrize("field", ["epoch", "epochs", "step", "steps"])
@pytest.mark.parametrize(
    "value", ["-1", "2.5", '"3"', "null", "true", "NaN", "1e400", "[1]", "9007199254740993", "9" * 5000]
)
def test_a_count_that_makes_no_sense_is_left_out_and_the_rest_is_kept(field: str, value: str) -> None:
    answer = json.dumps(ANSWER | {field: "?"}).replace('"?"', value)

    found = parse(answer.encode())

    assert found is not None
    assert found == snapshot(**{field: 0})
    assert found.to_status().loss == "0.1235"


@pytest.mark.parametrize("field", ["percent", "loss", "etaSeconds", "samplesPerSecond", "metrics", "lastCheckpoint"])
def test_a_number_of_any_length_leaves_the_rest(field: str) -> None:
    answer = json.dumps(ANSWER | {field: "?"}).replace('"?"', "9" * 5000)

    found = parse(answer.encode())

    assert found is not None
    assert (found.epoch, found.step) == (3, 30)


def test_a_thousand_metrics_do_not_fill_the_status() -> None:
    assert len(snapshot(metrics={f"m{n}": n for n in range(1000)}).metrics) == 32


def test_a_checkpoint_that_makes_no_sense_is_taken_as_absent() -> None:
    assert snapshot(lastCheckpoint={"step": -1}).checkpoint() is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"phase": "party"}',
        b'{"phase": 1, "epoch": 3}',
        b'{"epoch": 3}',
    ],
)
def test_what_is_no_answer_is_none(content: bytes) -> None:
    assert parse(content) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted(ANSWER)), inner),
)


@given(ANYTHING)
def test_nothing_a_program_can_say_breaks_the_operator(answer: Any) -> None:
    content = answer | {"phase": "training"} if isinstance(answer, dict) else answer

    read = parse(json.dumps(content).encode())

    assert read is None or read.to_status().model_dump_json()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (200, "3m20s"), (3600, "1h0m"), (90061, "1d1h"), (-3, "0s"), (1e300, "3650d0h")],
)
def test_a_time_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_training_that_stopped_early_is_complete_all_the_same() -> None:
    before = snapshot().to_status()

    after = at_end(before, Report(epochs=4, steps=40, loss=0.1, metrics={"val_loss": 0.2}))

    assert (after.percent, after.summary, after.loss, after.eta) == (100, "4/10", "0.1", None)
    assert after.metrics == {"val_loss": "0.2"}


async def served(handler: Any) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_get("/progress", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, runner.addresses[0][1]


async def read(handler: Any) -> Snapshot | None:
    runner, port = await served(handler)
    try:
        async with PodHttp() as http:
            return await HttpProgressReader(http, port).read("127.0.0.1")
    finally:
        await runner.cleanup()


async def test_a_trainer_is_asked_over_http() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(ANSWER)

    found = await read(answer)

    assert found is not None
    assert found.epoch == 3


async def test_an_endless_answer_is_cut_off() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)

    assert await read(endless) is None


@pytest.mark.parametrize("code", [404, 500])
async def test_an_error_is_no_answer(code: int) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response(ANSWER, status=code)

    assert await read(refuse) is None


async def test_a_redirect_is_not_followed() -> None:
    followed = False

    async def redirect(request: web.Request) -> web.Response:
        nonlocal followed
        followed = "again" in request.query
        return web.Response(status=302, headers={"Location": "/progress?again"})

    assert await read(redirect) is None
    assert not followed


async def test_a_pod_that_does_not_listen_is_no_answer() -> None:
    async with PodHttp() as http:
        reader = HttpProgressReader(http, port=1)
        assert await reader.read("127.0.0.1") is None
        assert await reader.read("::1") is None
        assert await reader.read("no such address") is None
