from datetime import UTC, datetime

from support.workloads import a_node, a_pod
from trainyard_devcluster.client import Client
from trainyard_devcluster.events import Recorder, parse_timestamp, timestamp

from .conftest import ScriptedApi

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


async def test_an_event_says_who_about_what_and_when(client: Client, api: ScriptedApi) -> None:
    await Recorder(client, "job-controller", clock=lambda: NOON).warning(a_pod("p"), "Failed", "it is broken")
    [(method, path, _, event)] = api.requests
    assert (method, path) == ("POST", "/api/v1/namespaces/default/events")
    expected = {
        "type": "Warning",
        "reason": "Failed",
        "message": "it is broken",
        "count": 1,
        "firstTimestamp": "2026-03-01T12:00:00Z",
        "reportingComponent": "job-controller",
        "source": {"component": "job-controller"},
    }
    assert {key: event[key] for key in expected} == expected
    assert event["involvedObject"]["kind"] == "Pod"
    assert event["involvedObject"]["uid"] == "uid-p"


async def test_the_same_event_again_is_counted_and_another_one_is_not(client: Client, api: ScriptedApi) -> None:
    recorder = Recorder(client, "scheduler", clock=lambda: NOON)
    for message in ("no room", "no room", "no node"):
        await recorder.normal(a_pod("p"), "Waiting", message)
    assert [method for method, *_ in api.requests] == ["POST", "PATCH", "POST"]
    assert api.requests[1][3]["count"] == 2


async def test_an_event_that_the_server_has_forgotten_is_made_anew(client: Client, api: ScriptedApi) -> None:
    recorder = Recorder(client, "scheduler", clock=lambda: NOON)
    await recorder.normal(a_pod("p"), "Waiting", "no room")
    api.refusal = (404, {"reason": "NotFound"})
    await recorder.normal(a_pod("p"), "Waiting", "no room")
    api.refusal = None
    await recorder.normal(a_pod("p"), "Waiting", "no room")
    assert [method for method, *_ in api.requests] == ["POST", "PATCH", "POST", "POST"]


async def test_events_about_objects_without_a_namespace_go_to_the_default_one(client: Client, api: ScriptedApi) -> None:
    await Recorder(client, "node-controller").normal(a_node("n1"), "Lost", "silent")
    assert api.requests[0][1] == "/api/v1/namespaces/default/events"


async def test_an_event_that_is_refused_stops_nobody(client: Client, api: ScriptedApi) -> None:
    api.refusal = (403, {"message": "namespace is being terminated"})
    await Recorder(client, "scheduler").normal(a_pod("p"), "Waiting", "no room")


def test_timestamps_are_whole_seconds_and_read_with_and_without_a_fraction() -> None:
    assert timestamp(NOON.replace(microsecond=999)) == "2026-03-01T12:00:00Z"
    assert parse_timestamp("2026-03-01T12:00:00Z") == NOON
    assert parse_timestamp("2026-03-01T12:00:00.000000Z") == NOON
