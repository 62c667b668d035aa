"""The page over HTTP: who sees what, and that nothing is open when the API server does not say so."""

import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, CookieJar

from support.chromium import PROGRAM, browsing
from support.fake_cluster import FakeCluster
from trainyard_operator.cluster.errors import ApiError, Forbidden, NotFound, Unavailable
from trainyard_operator.cluster.kinds import MODEL_SERVICE, TRAINING_JOB, Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.page.access import Access
from trainyard_operator.page.failures import MOST_FAILURES
from trainyard_operator.page.histories import Histories
from trainyard_operator.page.server import COOKIE, Page
from trainyard_operator.runtime.http import serve

NOW = datetime(2026, 12, 1, tzinfo=UTC)
HOSTILE = "</td><script>alert(1)</script>\"' onload=x"
TOKENS = {"anna-1": "anna", "nobody-1": "nobody", "admin-1": "admin"}
RIGHTS = {
    "anna": {("list", "trainingjobs", "a"), ("get", "trainingjobs", "a"), ("list", "modelservices", "a")},
    "nobody": set(),
    "admin": {(verb, plural, "") for verb in ("get", "list") for plural in ("trainingjobs", "modelservices", "events")},
}


class FakeReviews:
    """Answers as an API server does, and counts the questions."""

    def __init__(self) -> None:
        self.failure: ApiError | None = None
        self.reviews: list[Manifest] = []

    async def review(self, url: str, review: Manifest) -> Manifest:
        self.reviews.append(review)
        if self.failure:
            raise self.failure
        return review | {"status": self._status(review["kind"], review["spec"])}

    async def events_of(self, namespace: str, uid: str) -> list[Manifest]:
        return [{"type": "Warning", "reason": "Because", "message": HOSTILE, "lastTimestamp": "2026-11-30T23:59:00Z"}]

    def _status(self, kind: str, spec: dict[str, Any]) -> Manifest:
        if kind == "TokenReview":
            name = TOKENS.get(spec["token"])
            return {"authenticated": True, "user": {"username": name}} if name else {"error": "invalid bearer token"}
        asked = spec["resourceAttributes"]
        rights = RIGHTS[spec["user"]]
        places = {asked["namespace"], ""}
        return {"allowed": any((asked["verb"], asked["resource"], place) in rights for place in places)}


class Visitor:
    """A browser, or a program with a header."""

    def __init__(self, session: ClientSession, address: str, reviews: FakeReviews, cluster: FakeCluster) -> None:
        self.session, self.address, self.reviews, self.cluster = session, address, reviews, cluster

    async def get(self, path: str, token: str = "", **headers: str) -> tuple[int, str]:
        given = headers | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self.session.get(self.address + path, headers=given) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def visiting(
    *manifests: tuple[Kind, Manifest], namespaces: tuple[str | None, ...] = (None,)
) -> AsyncIterator[Visitor]:
    cluster, reviews, histories = FakeCluster(), FakeReviews(), Histories(lambda: NOW)
    for kind, manifest in manifests:
        stored = cluster.put(kind, manifest)
        cluster.set_status(
            kind, stored["metadata"]["namespace"], stored["metadata"]["name"], manifest.get("status", {})
        )
    page = Page(cluster, reviews, Access(reviews), histories, namespaces, lambda: NOW)
    endpoint = await serve(page.application(), "127.0.0.1", 0)
    try:
        async with ClientSession(timeout=ClientTimeout(10), cookie_jar=CookieJar(unsafe=True)) as session:
            yield Visitor(session, f"http://127.0.0.1:{endpoint.port}", reviews, cluster)
    finally:
        await endpoint.close()


def a_training(name: str, namespace: str = "a", **status: Any) -> tuple[Kind, Manifest]:
    return TRAINING_JOB, {"metadata": {"name": name, "namespace": namespace}, "spec": {}, "status": status}


def a_service(name: str, namespace: str = "a", **status: Any) -> tuple[Kind, Manifest]:
    return MODEL_SERVICE, {"metadata": {"name": name, "namespace": namespace}, "spec": {}, "status": status}


EVERYTHING = (a_training("in-a"), a_training("in-b", "b"), a_service("web-a"), a_service("web-b", "b"))


@pytest.mark.parametrize(
    ("token", "status", "seen"),
    [
        pytest.param("", 401, set(), id="no token"),
        pytest.param("wrong", 401, set(), id="a token that nobody knows"),
        pytest.param("x" * 5000, 401, set(), id="a token that is too long"),
        pytest.param("nobody-1", 200, set(), id="a token without rights"),
        pytest.param("anna-1", 200, {"in-a", "web-a"}, id="rights in one namespace"),
        pytest.param("admin-1", 200, {"in-a", "in-b", "web-a", "web-b"}, id="rights in all namespaces"),
    ],
)
async def test_everybody_sees_what_they_may_list(token: str, status: int, seen: Collection[str]) -> None:
    async with visiting(*EVERYTHING) as visitor:
        got, text = await visitor.get("/", token)

    assert got == status
    assert {name for name in ("in-a", "in-b", "web-a", "web-b") if name in text} == set(seen)


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/trainings/a/in-a", "anna-1", 200),
        ("/trainings/b/in-b", "anna-1", 404),
        ("/trainings/b/in-b", "admin-1", 200),
        ("/trainings/a/absent", "anna-1", 404),
        ("/services/a/web-a", "anna-1", 404),
        ("/services/a/web-a", "admin-1", 200),
        ("/trainings/a/in-a", "", 401),
        ("/trainings/a/in-a", "nobody-1", 404),
    ],
)
async def test_one_object_takes_the_right_to_get_it(path: str, token: str, status: int) -> None:
    async with visiting(*EVERYTHING) as visitor:
        got, _ = await visitor.get(path, token)

    assert got == status


@pytest.mark.parametrize("name", ["..%2f..%2fsecrets%2fx", "%2e%2e", "A", "-x", "a%3fwatch=1", "a%00", "x" * 254])
async def test_a_name_that_is_none_reaches_no_api_server(name: str) -> None:
    async with visiting(*EVERYTHING) as visitor:
        got, _ = await visitor.get(f"/trainings/a/{name}", "admin-1")
        compared, _ = await visitor.get(f"/compare?job=a/{name}", "admin-1")
        calls = visitor.cluster.calls

    assert (got, compared, calls) == (404, 200, [])


@pytest.mark.parametrize(
    "failure", [Unavailable("away", code=503), Forbidden("no right", code=403), NotFound("no such kind", code=404)]
)
@pytest.mark.parametrize("path", ["/", "/trainings/a/in-a", "/services/a/web-a", "/compare?job=a/in-a"])
async def test_without_an_answer_of_the_api_server_nobody_sees_anything(failure: ApiError, path: str) -> None:
    async with visiting(*EVERYTHING) as visitor:
        visitor.reviews.failure = failure
        status, text = await visitor.get(path, "admin-1")

    assert status == 503
    assert "in-a" not in text
    assert "web-a" not in text


async def test_comparing_leaves_out_what_somebody_may_not_see() -> None:
    async with visiting(*EVERYTHING) as visitor:
        status, text = await visitor.get("/compare?job=a/in-a&job=b/in-b&job=a/absent", "anna-1")

    assert status == 200
    assert ("in-a" in text, "in-b" in text, "absent" in text) == (True, False, False)


async def test_a_namespace_that_is_not_served_is_not_shown() -> None:
    async with visiting(*EVERYTHING, namespaces=("a",)) as visitor:
        _, text = await visitor.get("/", "admin-1")
        status, _ = await visitor.get("/trainings/b/in-b", "admin-1")

    assert ("in-a" in text, "in-b" in text, status) == (True, False, 404)


async def test_a_right_is_asked_for_once_in_a_while() -> None:
    async with visiting(*EVERYTHING) as visitor:
        await visitor.get("/", "anna-1")
        asked = len(visitor.reviews.reviews)
        await visitor.get("/", "anna-1")

        assert 0 < asked == len(visitor.reviews.reviews)


async def test_the_form_keeps_the_token_where_no_script_reads_it() -> None:
    async with visiting(*EVERYTHING) as visitor:
        form = {"token": "anna-1"}
        async with visitor.session.post(f"{visitor.address}/sign-in", data=form, allow_redirects=False) as answer:
            assert answer.status == 303
            cookie = answer.headers["Set-Cookie"]
        signed_in, _ = await visitor.get("/")
        async with visitor.session.post(f"{visitor.address}/sign-out", allow_redirects=False):
            pass
        signed_out, _ = await visitor.get("/")

    assert cookie.startswith(f"{COOKIE}=anna-1;")
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert (signed_in, signed_out) == (200, 401)


@pytest.mark.parametrize(("token", "status"), [("", 400), ("x" * 4000, 400), ("ä", 400), ("a b", 400), ("wrong", 401)])
async def test_the_form_refuses_what_is_no_token(token: str, status: int) -> None:
    form = {"token": token}
    async with visiting() as visitor, visitor.session.post(f"{visitor.address}/sign-in", data=form) as answer:
        assert (answer.status, "Set-Cookie" in answer.headers) == (status, False)


async def test_a_form_of_another_site_signs_nobody_in() -> None:
    async with visiting() as visitor:
        headers = {"Sec-Fetch-Site": "cross-site"}
        async with visitor.session.post(
            f"{visitor.address}/sign-in", data={"token": "anna-1"}, headers=headers
        ) as answer:
            assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("path", ["/", "/style.css", "/live.js", "/icon.svg", "/absent", "/trainings/a/in-a"])
async def test_every_answer_keeps_the_page_to_itself(path: str) -> None:
    given = {"Authorization": "Bearer admin-1"}
    async with visiting(*EVERYTHING) as visitor, visitor.session.get(visitor.address + path, headers=given) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        text = await answer.text()
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert " style=" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_can_be_written(method: str) -> None:
    async with visiting(*EVERYTHING) as visitor:
        headers = {"Authorization": "Bearer admin-1"}
        async with visitor.session.request(method, f"{visitor.address}/trainings/a/in-a", headers=headers) as answer:
            assert answer.status == 405
        assert visitor.cluster.writes == []


CONDITION = {
    "type": "Failed",
    "status": "True",
    "reason": "Because",
    "message": HOSTILE,
    "lastTransitionTime": "2026-11-30T00:00:00Z",
}


@pytest.mark.parametrize("path", ["/", "/trainings/a/x", "/services/a/x", "/compare?job=a/x"])
async def test_what_a_resource_says_stays_text(path: str) -> None:
    progress = {
        "epoch": 1,
        "step": 1,
        "loss": HOSTILE,
        "summary": HOSTILE,
        "eta": HOSTILE,
        "metrics": {HOSTILE: HOSTILE},
    }
    job = a_training("x", phase="Running", progress=progress, conditions=[CONDITION])
    job[1]["spec"] = {HOSTILE: HOSTILE, "list": [HOSTILE]}
    web = a_service("x", conditions=[CONDITION], url=HOSTILE)
    web[1]["spec"] = {HOSTILE: HOSTILE}
    async with visiting(job, web) as visitor:
        status, text = await visitor.get(path, "admin-1")

    assert status == 200
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert HOSTILE not in text


async def test_the_token_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with visiting(*EVERYTHING) as visitor:
        await visitor.get("/", "anna-1")
        visitor.reviews.failure = Unavailable("away")
        await visitor.get("/", "secret-2")
        await visitor.session.post(f"{visitor.address}/sign-in", data={"token": "secret-3"})
        assert (await visitor.get("/", "secret-4" * 2000))[0] == 400

    assert not [text for text in (caplog.text, *caplog.messages) if "anna-1" in text or "secret-" in text]


async def test_an_address_that_fails_too_often_has_to_wait() -> None:
    async with visiting() as visitor:

        async def tried(token: str) -> tuple[int, str]:
            form = {"token": token}
            async with visitor.session.post(f"{visitor.address}/sign-in", data=form, allow_redirects=False) as answer:
                return answer.status, answer.headers.get("Retry-After", "")

        assert {await tried(f"wrong-{number}") for number in range(MOST_FAILURES)} == {(401, "")}
        asked = len(visitor.reviews.reviews)
        status, seconds = await tried("admin-1")
        assert (status, 0 < int(seconds) <= 60) == (429, True)
        assert len(visitor.reviews.reviews) == asked, "the API server is not asked"
        assert (await visitor.get("/", "admin-1"))[0] == 200, "who is signed in goes on"


LONG = "a-training-with-a-name-of-fifty-characters-1234567"
RUNNING = {
    "phase": "Running",
    "progress": {"epoch": 3, "epochs": 9, "summary": "3/9", "percent": 33, "loss": "0.0596200", "eta": "12m34s"},
    "conditions": [
        {
            "type": kind, "status": "False", "reason": "WaitingForVolumes", "message": "claim 'models' " * 12,
            "lastTransitionTime": "2026-11-30T10:00:00Z",
        }
        for kind in ("Running", "Succeeded")
    ],
}  # fmt: skip


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize(("width", "dark"), [(400, False), (1400, True)], ids=["narrow and light", "wide and dark"])
async def test_the_page_works_by_keyboard_and_fits_its_width(width: int, dark: bool, tmp_path: Path) -> None:
    places = (a_training(LONG, **RUNNING), a_service("web-a", phase="Ready", url="http://web-a.a.svc:8501/v1/models/x"))
    async with visiting(*places) as visitor, browsing(tmp_path, width=width, dark=dark) as tab:
        await tab.call("Page.navigate", url=visitor.address)
        await tab.until("document.querySelector('#token') !== null")
        await tab.tab_to("#token")
        await tab.call("Input.insertText", text="admin-1")
        await tab.press("Enter")
        await tab.until("document.querySelector('table') !== null")
        await tab.picture(tmp_path / "overview.png")
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width

        await tab.tab_to(f"a[href='/trainings/a/{LONG}']")
        assert await tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await tab.press("Enter")
        await tab.until("location.pathname.startsWith('/trainings/') && document.querySelector('dl') !== null")
        await tab.picture(tmp_path / "training.png")
        assert await tab.evaluate("document.querySelector('td.words').getBoundingClientRect().right") <= width
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        paper = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(20, 22, 26)" if dark else "rgb(255, 255, 255)")
