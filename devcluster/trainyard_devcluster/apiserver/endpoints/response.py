"""HTTP responses, compressed where it pays."""

import zlib

from aiohttp import web

from trainyard_devcluster.apiserver.errors import ApiError
from trainyard_devcluster.apiserver.values import encode

_COMPRESS_FROM = 128 * 1024
_GZIP_WINDOW = 31


def respond(request: web.Request, body: bytes, code: int = 200, content_type: str = "application/json") -> web.Response:
    """Return a response with a body that no cache keeps."""
    headers = {"Content-Type": content_type, "Cache-Control": "no-cache, private"}
    if len(body) >= _COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WINDOW)
        body = packer.compress(body) + packer.flush()
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, status=code, headers=headers)


def refuse(request: web.Request, error: ApiError) -> web.Response:
    """Return the response to a request that failed."""
    return respond(request, encode(error.status), error.code)
