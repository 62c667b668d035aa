"""One request for a resource, with all that was found out about it before it is answered."""

from dataclasses import dataclass

from aiohttp import web

from trainyard_devcluster.apiserver.auth.identity import User
from trainyard_devcluster.apiserver.request import Target
from trainyard_devcluster.apiserver.resource import Resource


@dataclass(frozen=True, slots=True)
class Call:
    """A request, the resource it is for, and who asks."""

    request: web.Request
    resource: Resource
    target: Target
    verb: str
    query: dict[str, str]
    user: User
