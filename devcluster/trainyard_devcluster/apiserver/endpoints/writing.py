"""create, update, patch and the deletions."""

from aiohttp import web

from trainyard_devcluster.apiserver import deletion, errors, patching
from trainyard_devcluster.apiserver.auth import reviews
from trainyard_devcluster.apiserver.decoding import decode_body
from trainyard_devcluster.apiserver.endpoints.call import Call
from trainyard_devcluster.apiserver.listing import Selection, list_page
from trainyard_devcluster.apiserver.request import Target, WriteOptions
from trainyard_devcluster.apiserver.values import Object


async def create(call: Call) -> web.StreamResponse:
    """Store a new object; answer a review."""
    body, options, resource = await call.body(), call.options, call.resource
    obj = decode_body(resource, body, options)
    if resource.verbs == ("create",):
        store, authenticator = call.parts.cluster.store, call.parts.authenticator
        return call.reply(reviews.answer(store, authenticator, resource, call.user, obj), code=201)
    return call.written(call.parts.writer.create(resource, call.target.namespace, obj, options), options, code=201)


async def update(call: Call) -> web.StreamResponse:
    """Replace an object, or its status."""
    body, options = await call.body(), call.options
    new = decode_body(call.resource, body, options)
    _check_place(new, call.target)
    old = call.stored.obj
    if call.resource.custom and not new["metadata"].get("resourceVersion"):
        body_text = "Invalid value: 0: must be specified for an update"
        problem = errors.FieldError("FieldValueInvalid", "metadata.resourceVersion", body_text)
        raise errors.invalid(call.resource.kind, call.resource.group, call.target.name, [problem])
    if call.resource.namespaced:
        new["metadata"].setdefault("namespace", call.target.namespace)
    return call.written(call.parts.writer.update(call.resource, old, new, options), options)


def _check_place(obj: Object, target: Target) -> None:
    name, namespace = obj["metadata"].get("name"), obj["metadata"].get("namespace", target.namespace)
    if name != target.name:
        raise errors.wrong_name(name, target.name)
    if namespace != target.namespace:
        raise errors.wrong_namespace()


async def patch(call: Call) -> web.StreamResponse:
    """Change an object, or its status, by a patch of any kind."""
    kind, body, options, target = call.content_type, await call.body(), call.options, call.target
    if kind == patching.APPLY_PATCH and not call.query.get("fieldManager"):
        problem = errors.required("fieldManager", "is required for apply patch")
        raise errors.invalid("PatchOptions", "meta.k8s.io", "", [problem])
    done = patching.patch(call.parts.writer, call.resource, target.namespace, target.name, kind, body, options)
    return call.written(done.obj, options, code=201 if done.created else 200)


async def delete(call: Call) -> web.StreamResponse:
    """Delete an object; answer with what is left of it, or a Status."""
    options = deletion.DeleteOptions.of((await call.body()).value, call.query)
    stored = call.stored
    done = deletion.delete(call.parts.cluster, call.resource, stored, options)
    if done.gone and not call.resource.returns_deleted:
        return call.reply(_deleted(call, stored.obj))
    return call.written(done.obj, WriteOptions())


def _deleted(call: Call, obj: Object) -> Object:
    named = {"name": obj["metadata"]["name"]}
    group = {"group": call.resource.group} if call.resource.group else {}
    details = named | group | {"kind": call.resource.plural, "uid": obj["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


async def delete_collection(call: Call) -> web.StreamResponse:
    """Delete every selected object; answer with their list."""
    options = deletion.DeleteOptions.of((await call.body()).value, call.query)
    selection = Selection.of(call.resource, call.target.namespace, "", call.query)
    page = list_page(call.parts.cluster.store, selection, call.query)
    for stored in page.items:
        deletion.delete(call.parts.cluster, call.resource, stored, options)
    renderer = call.renderer
    return call.send(renderer.several(page.items, page.metadata), renderer.format)
