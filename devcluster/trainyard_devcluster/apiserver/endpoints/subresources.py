"""Subresources: status, scale, and those that are actions."""

from aiohttp import web

from trainyard_devcluster.apiserver import errors, patching, pod_subresources
from trainyard_devcluster.apiserver.endpoints import reading, service_proxy, writing
from trainyard_devcluster.apiserver.endpoints.call import Call
from trainyard_devcluster.apiserver.scale import scale_of, with_scale


async def answer(call: Call) -> web.StreamResponse:
    """Answer a request for a subresource.

    Raises:
        ApiError: 404, the resource has no such subresource; 405, it has, but without that verb.
    """
    name, resource = call.target.subresource, call.resource
    if name == "status" and resource.status:
        return await _status(call)
    if name == "scale" and resource.scale:
        return await _scale(call)
    offered = next((each for each in resource.subresources if each.name == name), None)
    if offered is None:
        raise errors.no_such_path()
    if call.verb not in offered.verbs:
        raise errors.method_not_allowed()
    if name == "proxy":
        service, _ = service_proxy.split_name(call.target.name)
        found = call.parts.writer.stored(resource, call.target.namespace, service).obj
        return await service_proxy.forward(call.request, call.target, found)
    if name == "log":
        return await call.parts.logs.stream(call.request, call.stored.obj, call.query)
    return await _act(call)


async def _status(call: Call) -> web.StreamResponse:
    match call.verb:
        case "get":
            return await reading.get(call)
        case "update":
            return await writing.update(call)
        case "patch":
            return await writing.patch(call)
    raise errors.method_not_allowed()


async def _scale(call: Call) -> web.StreamResponse:
    resource = call.resource
    match call.verb:
        case "get":
            return call.reply(scale_of(resource, call.stored.obj))
        case "update":
            scale = await call.sent()
        case "patch":
            body, kind = await call.body(), call.content_type
            # A Scale has no lists, so every kind of merge comes to the same.
            if kind in (patching.STRATEGIC_PATCH, patching.APPLY_PATCH):
                kind = patching.MERGE_PATCH
            scale = patching.patched_value(resource, kind, scale_of(resource, call.stored.obj), body)
        case _:
            raise errors.method_not_allowed()
    old = call.stored.obj
    done = call.parts.writer.update(resource, old, with_scale(resource, old, scale), call.options)
    return call.reply(scale_of(resource, done))


async def _act(call: Call) -> web.StreamResponse:
    cluster, resource, sent, stored = call.parts.cluster, call.resource, await call.sent(), call.stored
    match call.target.subresource:
        case "binding":
            done = pod_subresources.bind(cluster, resource, stored, sent)
        case "eviction":
            done = pod_subresources.evict(cluster, resource, stored, sent)
        case "token":
            done = pod_subresources.request_token(cluster, call.parts.authenticator.signer, stored.obj, sent)
        case "finalize":
            return call.reply(pod_subresources.finalize(cluster, resource, stored, sent))
        case _:
            raise errors.method_not_allowed()
    return call.reply(done, code=201)
