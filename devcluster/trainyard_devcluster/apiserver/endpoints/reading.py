"""get, list and watch."""

import asyncio
from collections.abc import Coroutine

from aiohttp import web

from trainyard_devcluster.apiserver.endpoints.call import Call
from trainyard_devcluster.apiserver.listing import Selection, list_page
from trainyard_devcluster.apiserver.request import flag
from trainyard_devcluster.apiserver.watching import Watch, WatchOptions


async def get(call: Call) -> web.StreamResponse:
    """Answer with one object, or watch it."""
    if flag(call.query, "watch"):
        return await watch(call)
    renderer = call.renderer
    return call.send(renderer.stored(call.stored), renderer.format)


async def list_objects(call: Call) -> web.StreamResponse:
    """Answer with a list."""
    selection = Selection.of(call.resource, call.target.namespace, "", call.query)
    page = list_page(call.parts.cluster.store, selection, call.query)
    renderer = call.renderer
    return call.send(renderer.several(page.items, page.metadata), renderer.format)


async def watch(call: Call) -> web.StreamResponse:
    """Answer with a stream of changes."""
    store = call.parts.cluster.store
    selection = Selection.of(call.resource, call.target.namespace, call.target.name, call.query)
    watched = Watch(store, selection, call.renderer, WatchOptions.of(store, call.query))
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    await _until(call.parts.stopping, _pump(watched, response))
    return response


async def _pump(watched: Watch, response: web.StreamResponse) -> None:
    try:
        async for chunk in watched.lines():
            if chunk:
                await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        return  # The client has left, which is how most watches end.


async def _until(stopping: asyncio.Event, streaming: Coroutine[None, None, None]) -> None:
    """Run a stream until it ends, the client leaves or the server stops."""
    tasks = [asyncio.ensure_future(streaming), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
