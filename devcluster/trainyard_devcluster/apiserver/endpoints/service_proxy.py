"""Requests to a Service through the API server: `.../services/[SCHEME:]NAME[:PORT]/proxy/PATH`, plain HTTP only."""

import aiohttp
from aiohttp import web

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.request import Target
from trainyard_devcluster.apiserver.values import Object

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)


def split_name(name: str) -> tuple[str, str]:
    """Return the Service and the port, by name or number, that a path's segment names.

    >>> split_name("http:churn:8501"), split_name("churn:rest"), split_name("churn")
    (('churn', '8501'), ('churn', 'rest'), ('churn', ''))
    """
    parts = name.split(":")
    service, port = (parts[1:] if len(parts) == 3 else [*parts, ""])[:2]
    return service, port


def url_of(service: Object, port: str, path: str) -> str:
    """Return where to send the request.

    Raises:
        ApiError: 503, the Service has no such port or no address.
    """
    spec = service["spec"]
    chosen = [
        each["port"]
        for each in spec.get("ports") or ()
        if port in (each.get("name"), str(each["port"])) or (not port and len(spec["ports"]) == 1)
    ]
    address = spec.get("clusterIP")
    name = service["metadata"]["name"]
    if not chosen or address in (None, "", "None"):
        raise errors.ApiError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')
    return f"http://{address}:{chosen[0]}/{path}"


async def forward(request: web.Request, target: Target, service: Object) -> web.Response:
    """Send the request on and return the answer as it is.

    Raises:
        ApiError: 503, nobody answers there.
    """
    url = url_of(service, split_name(target.name)[1], target.rest)
    headers = {name: request.headers[name] for name in ("Accept", "Content-Type") if name in request.headers}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(
                request.method, url, params=request.query, data=await request.read(), headers=headers
            ) as answer,
        ):
            return web.Response(body=await answer.read(), status=answer.status, content_type=answer.content_type)
    except (aiohttp.ClientError, TimeoutError) as error:
        message = f"error trying to reach service: {error}"
        raise errors.ApiError(503, "ServiceUnavailable", message) from error
