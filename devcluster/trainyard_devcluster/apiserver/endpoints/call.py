"""One request for a resource, with all that was found out about it before it is answered."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.auth.identity import Authenticator, User
from trainyard_devcluster.apiserver.body import Body, parse
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.endpoints.logs import Logs
from trainyard_devcluster.apiserver.endpoints.response import respond
from trainyard_devcluster.apiserver.negotiate import Format, negotiate
from trainyard_devcluster.apiserver.output import Renderer, to_yaml
from trainyard_devcluster.apiserver.request import Target, WriteOptions
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.store import Stored
from trainyard_devcluster.apiserver.values import Object, encode
from trainyard_devcluster.apiserver.writer import Writer


@dataclass(frozen=True, slots=True)
class Parts:
    """What answers are made with."""

    cluster: Cluster
    writer: Writer
    authenticator: Authenticator
    logs: Logs
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server ends, which ends every stream."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, the resource it is for, and who asks."""

    parts: Parts
    request: web.Request
    resource: Resource
    target: Target
    verb: str
    query: dict[str, str]
    user: User

    @property
    def stored(self) -> Stored:
        """The object that the path names.

        Raises:
            ApiError: 404, there is none.
        """
        return self.parts.writer.stored(self.resource, self.target.namespace, self.target.name)

    @property
    def options(self) -> WriteOptions:
        """How a write is to be done.

        Raises:
            ApiError: 400, a parameter has a value that it cannot have.
        """
        return WriteOptions.of(self.query, self.request.headers.get("User-Agent", ""), self.target.subresource)

    @property
    def renderer(self) -> Renderer:
        """What puts objects into the form that the client accepts.

        Raises:
            ApiError: 406, the client accepts none that is offered.
        """
        include: Any = self.query.get("includeObject", "Metadata")
        if include not in ("None", "Metadata", "Object"):
            raise errors.bad_request(f"unrecognized includeObject value: {include!r}")
        accepted = negotiate(self.request.headers.get("Accept", ""))
        return Renderer(self.parts.cluster, self.resource, accepted, include)

    @property
    def content_type(self) -> str:
        """The media type of the body, "" where the client does not say."""
        return self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def body(self) -> Body:
        """Return the request's body; deletions may come without.

        Raises:
            ApiError: 400 or 415, it cannot be read.
        """
        content = await self.request.read()
        if not content.strip() and self.verb in ("delete", "deletecollection"):
            return Body(None)
        return parse(content, self.content_type)

    async def sent(self) -> Object:
        """Return the request's body, which must be an object.

        Raises:
            ApiError: 400 or 415, it cannot be read or is none.
        """
        value = (await self.body()).value
        if not isinstance(value, dict):
            raise errors.bad_request("the object provided is unrecognized (must be an object)")
        return value

    def send(self, body: bytes, form: Format, *, code: int = 200) -> web.Response:
        """Return a response with JSON, or with the same as YAML."""
        if form.yaml:
            return respond(self.request, to_yaml(body), code, "application/yaml")
        return respond(self.request, body, code)

    def reply(self, answer: Object, *, code: int = 200) -> web.Response:
        """Return a response with an object that is no resource, as JSON."""
        return respond(self.request, encode(answer), code)

    def written(self, obj: Object, options: WriteOptions, *, code: int = 200) -> web.Response:
        """Return the response to a write, with the warnings that it gave."""
        renderer = self.renderer
        response = self.send(renderer.one(obj), renderer.format, code=code)
        for warning in options.warnings:
            text = warning.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add("Warning", f'299 - "{text}"')
        return response


Endpoint = Callable[[Call], Awaitable[web.StreamResponse]]
