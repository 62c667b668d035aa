"""Bad weather between the operator and the API server, the same again for the same seed.

Requests are refused, cut, or answered by something else with status 200; writes take effect and their answers are lost.
"""

import random
from collections import Counter

from aiohttp import web
from aiohttp.typedefs import Handler

_KINDS = ("page", "nothing", "object", "cut", "lost", "conflict", "throttled", "error", "busy")


class Weather:
    """A middleware for the fake API server.

    Attributes:
        share: How many of the requests are met by it.
        met: How often each kind of weather was.
    """

    def __init__(self, seed: int, share: float = 0.3) -> None:
        self.share = share
        self.met: Counter[str] = Counter()
        self._random = random.Random(seed)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._random.random() >= self.share:
            return await handler(request)
        kind = self._random.choice(_KINDS)
        self.met[kind] += 1
        if kind == "page":
            return web.Response(text="<html>please log in</html>", content_type="text/html")
        if kind == "nothing":
            return web.Response(text="")
        if kind == "object":
            return web.json_response({"kind": "Status", "status": "Success", "metadata": {}})
        if kind in ("cut", "lost"):
            if kind == "lost":
                await handler(request)
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        code, after = {"conflict": (409, 0), "throttled": (429, 0), "error": (500, None), "busy": (503, 0)}[kind]
        headers = {} if after is None else {"Retry-After": str(after)}
        body = {"kind": "Status", "code": code, "reason": "", "message": f"HTTP {code} by the test"}
        return web.json_response(body, status=code, headers=headers)
