"""Golden requests: what is asked, and what an answer is worth."""

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from trainyard_api.checks import Check
from trainyard_operator.runtime.pod_client import PodHttp
from trainyard_operator.serving.checks import CheckResult, GoldenRequest, blocker, golden_requests, verdict
from trainyard_operator.serving.model_status_reader import Served
from trainyard_operator.serving.revision_reader import Checked, HttpCheckReader
from trainyard_operator.workloads.blockers import Blocker


def golden(expected: Any, tolerance: float = 0.01) -> GoldenRequest:
    return GoldenRequest("two", '{"instances": [1]}', json.dumps(expected), tolerance)


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ({"predictions": [0.5]}, {"predictions": [0.5]}),
        ({"predictions": [0.5]}, {"predictions": [0.509]}),
        ({"predictions": [1]}, {"predictions": [1.0]}),
        ({"predictions": [{"label": "yes"}]}, {"predictions": [{"label": "yes", "score": 0.3}]}),
        ({"outputs": {"a": [[1.0, 2.0], [3.0, 4.0]]}}, {"outputs": {"a": [[1.0, 2.0], [3.0, 4.0]], "b": 1}}),
        ({"predictions": [True, None, "x"]}, {"predictions": [True, None, "x"]}),
        ({"predictions": [float("nan"), float("inf")]}, {"predictions": [float("nan"), float("inf")]}),
        ({}, {"predictions": [1]}),
    ],
)
def test_an_answer_that_is_near_enough_passes(expected: Any, answer: Any) -> None:
    assert verdict(golden(expected), 200, json.dumps(answer).encode()) == CheckResult(True)


@pytest.mark.parametrize(
    ("expected", "answer", "detail"),
    [
        ({"predictions": [0.5]}, {"predictions": [0.6]}, "at .predictions[0]: expected 0.5 (within 0.01), got 0.6"),
        ({"predictions": [0.5]}, {"predictions": [float("nan")]}, "got nan"),
        ({"predictions": [0.5]}, {"predictions": [0.5, 0.5]}, "at .predictions: expected 1 values, got 2"),
        ({"predictions": [0.5]}, {"predictions": ["0.5"]}, 'expected 0.5, got "0.5"'),
        ({"predictions": [1]}, {"predictions": [True]}, "expected 1, got true"),
        ({"predictions": [{"y": 1}]}, {"predictions": [{"z": 1}]}, "expected .predictions[0].y, got z"),
        ({"predictions": [1]}, {"outputs": [1]}, "expected .predictions, got outputs"),
        ({"predictions": [1]}, [1], 'at the top: expected {"predictions": [1]}, got [1]'),
        ({"predictions": [1]}, {"predictions": [10**400]}, "expected 1, got 1000"),
    ],
)
def test_any_other_fails_with_what_was_expected_and_what_came(expected: Any, answer: Any, detail: str) -> None:
    result = verdict(golden(expected), 200, json.dumps(answer).encode())

    assert (result.passed, result.answered) == (False, True)
    assert result.detail.startswith("check 'two': ")
    assert detail in result.detail


@pytest.mark.parametrize(
    ("status", "content", "answered"),
    [
        (400, b'{"error": "no such input"}', True),
        (404, b"", True),
        (500, b"\xff\x00", True),
        (503, b"full", False),
        (200, b"<html>", True),
        (200, b"9" * 5000, True),
        (200, b"[" * 100_000, True),
    ],
)
def test_what_is_no_answer_fails_and_what_may_pass_is_asked_again(status: int, content: bytes, answered: bool) -> None:
    result = verdict(golden({"predictions": [1]}), status, content)

    assert (result.passed, result.answered) == (False, answered)
    assert len(result.detail) < 500


def test_a_hostile_answer_is_compared_no_deeper_than_what_is_expected() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]

    assert "levels" in verdict(golden({"predictions": deep}), 200, json.dumps({"predictions": deep}).encode()).detail


INLINE = Check.model_validate({"name": "a", "request": {"instances": [1]}, "expect": {"predictions": [2]}})
STORED = Check.model_validate({"name": "b", "configMapKeyRef": {"name": "golden", "key": "b.json"}, "tolerance": 1})


def test_checks_come_from_the_spec_and_from_config_maps() -> None:
    text = '{"request": {"instances": [3]}, "expect": {"predictions": [4]}}'

    found = golden_requests([INLINE, STORED], {"golden": {"data": {"b.json": text}}})

    assert found == (
        GoldenRequest("a", '{"instances": [1]}', '{"predictions": [2]}', 0.0001),
        GoldenRequest("b", '{"instances": [3]}', '{"predictions": [4]}', 1),
    )


@pytest.mark.parametrize(
    ("config_map", "said"),
    [
        (None, "does not exist"),
        ({}, "does not exist"),
        ({"data": {"a.json": "{}"}}, "does not exist"),
        ({"data": {"b.json": "{"}}, "expected JSON"),
        ({"data": {"b.json": "[]"}}, "expected JSON"),
        ({"data": {"b.json": '{"request": {}}'}}, "expected JSON"),
        ({"data": {"b.json": "[" * 100_000}}, "expected JSON"),
        ({"data": {"b.json": json.dumps({"request": {"x": "x" * 70_000}, "expect": {}})}}, "use fewer rows"),
    ],
)
def test_a_check_that_cannot_be_carried_out_is_named(config_map: Any, said: str) -> None:
    found = golden_requests([STORED], {"golden": config_map})

    assert isinstance(found, Blocker)
    assert found.reason == "CheckInvalid"
    assert said in found.message
    assert "'b'" in found.message


def test_a_wrong_answer_stops_and_none_waits() -> None:
    wrong, none = (blocker(CheckResult(False, answered, "why"), "pod-1") for answered in (True, False))

    assert wrong is not None
    assert none is not None
    assert (wrong.reason, wrong.transient) == ("CheckFailed", False)
    assert (none.reason, none.transient) == ("Checking", True)
    assert blocker(CheckResult(True), "pod-1") is None


# Over a real connection.


async def asked(handler: Any, *requests: GoldenRequest) -> CheckResult:
    app = web.Application()
    app.add_routes([web.post("/v1/models/churn/versions/7:predict", handler)])
    async with TestServer(app) as server, PodHttp() as http:
        return await HttpCheckReader(http, server.port or 0).ask(Checked(Served("127.0.0.1", "churn", 7), requests))


async def test_the_pod_is_asked_for_its_version() -> None:
    async def handler(request: web.Request) -> web.Response:
        instances = (await request.json())["instances"]
        return web.json_response({"predictions": [2 * value for value in instances]})

    assert await asked(handler, golden({"predictions": [2]}), golden({"predictions": [2.0]})) == CheckResult(True)
    assert "got 2" in (await asked(handler, golden({"predictions": [2]}), golden({"predictions": [3]}))).detail


async def test_an_answer_without_end_is_cut_off() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"9" * 2**16)
        return response

    result = await asked(handler, golden({"predictions": [2]}))

    assert (result.passed, result.answered) == (False, False)
    assert "more than 1048576 bytes" in result.detail


async def test_a_redirect_is_not_followed() -> None:
    async def handler(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/")

    assert "HTTP 302" in (await asked(handler, golden({}))).detail


async def test_a_pod_that_does_not_answer_is_no_failure() -> None:
    async with PodHttp() as http:
        result = await HttpCheckReader(http, port=1, deadline=0.5).ask(
            Checked(Served("127.0.0.1", "churn", 7), (golden({}),))
        )

    assert (result.passed, result.answered) == (False, False)
