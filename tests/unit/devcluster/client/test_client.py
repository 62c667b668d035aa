import pytest

from trainyard_devcluster.client import (
    AlreadyExistsError,
    ApiError,
    Client,
    ConflictError,
    GoneError,
    InvalidError,
    NotFoundError,
    PatchType,
    UnavailableError,
)
from trainyard_devcluster.kubeconfig import Access
from trainyard_devcluster.resources import JOBS, NODES, PODS

from .conftest import ScriptedApi, a_pod


@pytest.mark.parametrize(
    ("resource", "parts", "path"),
    [
        (PODS, (None, None), "/api/v1/pods"),
        (PODS, ("ml", "a", "status"), "/api/v1/namespaces/ml/pods/a/status"),
        (NODES, (None, "n1"), "/api/v1/nodes/n1"),
        (JOBS, ("ml", "train"), "/apis/batch/v1/namespaces/ml/jobs/train"),
    ],
)
def test_paths_follow_the_group_the_scope_and_the_subresource(resource, parts, path) -> None:
    assert resource.path(*parts) == path


async def test_requests_carry_the_token_the_selectors_and_the_patch_type(client: Client, api: ScriptedApi) -> None:
    await client.list(PODS, "ml", label_selector="app=x", field_selector="spec.nodeName=n1")
    await client.patch(PODS, "a", {"x": 1}, "ml", kind=PatchType.APPLY, field_manager="me", force=True)
    await client.delete(PODS, "a", "ml", uid="u1", propagation="Foreground", grace_seconds=0)
    listed, patched, deleted = api.requests
    assert listed[1] == "/api/v1/namespaces/ml/pods?labelSelector=app%3Dx&fieldSelector=spec.nodeName%3Dn1"
    assert listed[2]["Authorization"] == "Bearer secret"
    assert patched[1] == "/api/v1/namespaces/ml/pods/a?fieldManager=me&force=true"
    assert patched[2]["Content-Type"] == "application/apply-patch+yaml"
    assert deleted[3] == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u1"},
        "propagationPolicy": "Foreground",
        "gracePeriodSeconds": 0,
    }


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (403, "Forbidden", ApiError),
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (410, "Expired", GoneError),
        (422, "Invalid", InvalidError),
        (429, "TooManyRequests", UnavailableError),
        (500, "InternalError", UnavailableError),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind_with_the_servers_words(
    client: Client, api: ScriptedApi, code: int, reason: str, expected: type[ApiError]
) -> None:
    api.refusal = (code, {"kind": "Status", "reason": reason, "message": "because"})
    with pytest.raises(ApiError, match="because") as caught:
        await client.create(PODS, a_pod("a", 1))
    assert type(caught.value) is expected
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_a_refusal_by_an_ending_namespace_is_known(client: Client, api: ScriptedApi) -> None:
    cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}
    api.refusal = (403, {"kind": "Status", "reason": "Forbidden", "details": {"causes": [cause]}})
    with pytest.raises(ApiError) as caught:
        await client.create(PODS, a_pod("a", 1))
    assert caught.value.namespace_is_ending


async def test_a_refusal_that_is_not_json_keeps_its_text(client: Client, api: ScriptedApi) -> None:
    api.refusal = (400, "bad request line")
    with pytest.raises(ApiError, match="bad request line"):
        await client.get(PODS, "a", "default")


async def test_no_server_means_unavailable() -> None:
    access = Access(server="http://127.0.0.1:1", token=None, tls=None, tls_server_name=None, namespace="default")
    async with Client(access) as client:
        with pytest.raises(UnavailableError, match="did not answer"):
            await client.get(PODS, "a", "default")


async def test_a_watch_yields_objects_of_a_megabyte_whole(client: Client, api: ScriptedApi) -> None:
    large = a_pod("large", 2) | {"data": "x" * 1_000_000}
    api.emit("ADDED", large)
    api.events.put_nowait(None)
    assert [event.object async for event in client.watch(PODS, "1")] == [large]


async def test_an_error_event_of_a_watch_is_raised(client: Client, api: ScriptedApi) -> None:
    api.emit("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})
    with pytest.raises(GoneError, match="too old"):
        async for _ in client.watch(PODS, "1"):
            pass
