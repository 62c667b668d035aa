"""The page over HTTP: signs people in by their token, asks what they may see, and shows it. It writes nothing."""

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Protocol

from aiohttp import hdrs, web

from trainyard_api.modelservice import PLURAL as SERVICES
from trainyard_api.times import Clock, utc_now
from trainyard_api.trainingjob import PLURAL as TRAININGS
from trainyard_operator.cluster.errors import ApiError, NotFound
from trainyard_operator.cluster.kinds import EVENT, MODEL_SERVICE, TRAINING_JOB, Kind
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.page import html
from trainyard_operator.page.access import Access, Reviews, User
from trainyard_operator.page.curves import MOST_LINES
from trainyard_operator.page.failures import Failures
from trainyard_operator.page.histories import Histories
from trainyard_operator.page.markup import Markup
from trainyard_operator.page.objects import Training, service, training

COOKIE = "trainyard-token"
_MOST_TOKEN = 3800
"""Of a cookie browsers take 4,096 bytes."""
_SESSION_SECONDS = 12 * 3600
_ANSWER_SECONDS = 20.0
_MOST_ROWS = 200
"""Of each table of the first page: the newest."""
# What Kubernetes takes as names. Names become paths of requests to the API server, made with the operator's rights:
# a name with a slash would lead to other objects than those that somebody was asked about.
_OBJECT = r"{namespace:[a-z0-9][-a-z0-9]{0,62}}/{name:[a-z0-9][-.a-z0-9]{0,252}}"
_KEY = re.compile(r"([a-z0-9][-a-z0-9]{0,62})/([a-z0-9][-.a-z0-9]{0,252})")
_HEADERS = {
    # Nothing but our own style and script, from here; no frame around it, no form to elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="none" stroke="#0b5fcc" stroke-width="2" '
    'd="M1 2c1 8 4 11 14 12"/></svg>'
)


class Objects(Protocol):
    """The resources, as the operator knows them."""

    async def get(self, kind: Kind, namespace: str, name: str, *, live: bool = False) -> Manifest:
        """See `cluster.port.Cluster.get`."""
        ...

    async def select(
        self, kind: Kind, namespace: str | None = None, *, labels: Mapping[str, str] | None = None, live: bool = False
    ) -> list[Manifest]:
        """See `cluster.port.Cluster.select`."""
        ...


class LiveServer(Reviews, Protocol):
    """What only the API server knows."""

    async def events_of(self, namespace: str, uid: str) -> list[Manifest]:
        """Return the events about an object, the newest first; a hundred at most."""
        ...


class _SignInFirst(Exception):
    """Nobody whom the API server knows."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """One look of somebody."""

    user: User
    frame: html.Frame


@dataclass(frozen=True, slots=True)
class Page:
    """Answers to requests.

    Attributes:
        namespaces: Those that the operator serves; None is all of them.
    """

    objects: Objects
    server: LiveServer
    access: Access
    histories: Histories
    namespaces: tuple[str | None, ...] = (None,)
    clock: Clock = utc_now
    failures: Failures = field(default_factory=lambda: Failures(time.monotonic))

    def application(self) -> web.Application:
        """Return the web application."""
        app = web.Application(middlewares=[_guarded], client_max_size=16 * 1024)
        app.add_routes(
            [
                web.get("/", self._overview),
                web.get(f"/trainings/{_OBJECT}", self._training),
                web.get(f"/services/{_OBJECT}", self._service),
                web.get("/compare", self._comparison),
                web.post("/sign-in", self._sign_in),
                web.post("/sign-out", _sign_out),
                web.get("/style.css", _asset("style.css", "text/css")),
                web.get("/live.js", _asset("live.js", "text/javascript")),
                web.get("/icon.svg", _icon),
            ]
        )
        return app

    async def _overview(self, request: web.Request) -> web.Response:
        visit = await self._visit(request)
        trainings, services = await asyncio.gather(
            self._visible(visit.user, TRAINING_JOB, TRAININGS), self._visible(visit.user, MODEL_SERVICE, SERVICES)
        )
        chosen = request.query.get("namespace", "")
        namespaces = sorted({_namespace(each) for each in [*trainings, *services]} | ({chosen} - {""}))
        shown = [self._as_training(each) for each in _newest(trainings, chosen)]
        served = [service(each) for each in _newest(services, chosen)]
        return _page(html.overview(visit.frame, shown, served, chosen, namespaces))

    async def _training(self, request: web.Request) -> web.Response:
        visit, found = await self._one(request, TRAINING_JOB, TRAININGS)
        one = self._as_training(found)
        return _page(html.one_training(visit.frame, one, await self._events(visit.user, found)))

    async def _service(self, request: web.Request) -> web.Response:
        visit, found = await self._one(request, MODEL_SERVICE, SERVICES)
        return _page(html.one_service(visit.frame, service(found), await self._events(visit.user, found)))

    async def _comparison(self, request: web.Request) -> web.Response:
        visit = await self._visit(request)
        wanted = list(dict.fromkeys(request.query.getall("job", [])))[:MOST_LINES]
        found = []
        for namespace, name in (match.groups() for key in wanted if (match := _KEY.fullmatch(key))):
            with suppress(NotFound):
                found.append(await self._get(visit.user, TRAINING_JOB, TRAININGS, namespace, name))
        return _page(html.comparison(visit.frame, [self._as_training(each) for each in found]))

    async def _sign_in(self, request: web.Request) -> web.Response:
        address = request.remote or ""
        if seconds := math.ceil(self.failures.wait(address)):
            answer = _page(html.sign_in(f"Too many failed tries from {address}. Try again in {seconds} s."), 429)
            answer.headers["Retry-After"] = str(seconds)
            return answer
        token = str((await request.post()).get("token", "")).strip()
        if not _is_token(token):
            return _page(html.sign_in(f"Expected a bearer token of at most {_MOST_TOKEN} characters."), 400)
        if await self.access.user(token) is None:
            self.failures.add(address)
            return _page(html.sign_in("The API server does not know this token: it may have expired."), 401)
        entered = web.HTTPSeeOther("/")
        secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        entered.set_cookie(
            COOKIE, token, max_age=_SESSION_SECONDS, httponly=True, samesite="Strict", secure=secure, path="/"
        )
        raise entered

    async def _visit(self, request: web.Request) -> _Visit:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        token = given.strip() if scheme.casefold() == "bearer" else request.cookies.get(COOKIE, "")
        user = await self.access.user(token) if _is_token(token) else None
        if user is None:
            raise _SignInFirst
        return _Visit(user, html.Frame(user.name, self.clock()))

    async def _one(self, request: web.Request, kind: Kind, plural: str) -> tuple[_Visit, Manifest]:
        visit = await self._visit(request)
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        return visit, await self._get(visit.user, kind, plural, namespace, name)

    async def _get(self, user: User, kind: Kind, plural: str, namespace: str, name: str) -> Manifest:
        served = {None, namespace} & set(self.namespaces)
        # Who may not see it is not told whether it is there.
        if not served or not await self.access.may(user, "get", plural, namespace):
            raise NotFound(f"{kind.name} {name}")
        return await self.objects.get(kind, namespace, name)

    async def _visible(self, user: User, kind: Kind, plural: str) -> list[Manifest]:
        lists = await asyncio.gather(*(self.objects.select(kind, namespace) for namespace in self.namespaces))
        found = [each for one in lists for each in one]
        seen = await self.access.visible(user, plural, set(map(_namespace, found)))
        return [each for each in found if _namespace(each) in seen]

    async def _events(self, user: User, manifest: Manifest) -> list[Manifest] | None:
        metadata = manifest["metadata"]
        if not await self.access.may(user, "list", EVENT.plural, metadata["namespace"], EVENT.group):
            return None
        return await self.server.events_of(metadata["namespace"], metadata["uid"])

    def _as_training(self, manifest: Manifest) -> Training:
        return training(manifest, self.histories.of(manifest["metadata"]["uid"]))


def _namespace(manifest: Manifest) -> str:
    return str(manifest["metadata"]["namespace"])


def _newest(manifests: list[Manifest], namespace: str) -> list[Manifest]:
    chosen = [each for each in manifests if namespace in ("", _namespace(each))]
    return sorted(chosen, key=lambda each: str(each["metadata"].get("creationTimestamp")), reverse=True)[:_MOST_ROWS]


@web.middleware
async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer in time, with every header that keeps the page to itself, and without a word about the inside."""
    answer: web.StreamResponse
    try:
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in (
            "same-origin",
            "none",
        ):
            raise web.HTTPForbidden(text="This form is not ours.")
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await handler(request)
    except _SignInFirst:
        answer = _page(html.sign_in(), 401)
    except NotFound:
        answer = _page(html.trouble(None, "Not found", "There is no such object, or you may not see it."), 404)
    except (ApiError, TimeoutError):
        answer = _page(html.trouble(None, "No answer", "The API server does not answer. Try again in a moment."), 503)
    except web.HTTPException as error:
        answer = error
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    if isinstance(answer, web.HTTPException):
        raise answer
    return answer


def _is_token(text: str) -> bool:
    return bool(text) and len(text) <= _MOST_TOKEN and text.isascii() and text.isprintable() and " " not in text


async def _sign_out(_: web.Request) -> web.Response:
    answer = web.HTTPSeeOther("/")
    answer.del_cookie(COOKIE, path="/")
    raise answer


def _page(content: Markup, status: int = 200) -> web.Response:
    return web.Response(text=str(content), content_type="text/html", charset="utf-8", status=status)


def _asset(name: str, kind: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def send(_: web.Request) -> web.Response:
        return web.Response(
            text=_text(name), content_type=kind, charset="utf-8", headers={"Cache-Control": "max-age=60"}
        )

    return send


@cache
def _text(name: str) -> str:
    return files("trainyard_operator.page").joinpath(name).read_text(encoding="utf-8")


async def _icon(_: web.Request) -> web.Response:
    return web.Response(text=_ICON, content_type="image/svg+xml")
