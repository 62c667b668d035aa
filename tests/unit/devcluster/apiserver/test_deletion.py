"""Deletions: finalizers, grace, preconditions and dependents."""

from typing import Any

import pytest

from support.objects import CONFIG_MAPS, DEPLOYMENTS, PODS, a_config_map, a_deployment, a_pod

from .conftest import Api, Clock, Object

MAP, POD = f"{CONFIG_MAPS}/settings", f"{PODS}/worker"


async def gone(api: Api, path: str) -> bool:
    return (await api.call("GET", path)).code == 404


def held(*finalizers: str) -> Object:
    return a_config_map() | {"metadata": {"name": "settings", "finalizers": list(finalizers)}}


async def test_what_nothing_holds_goes_at_once(api: Api) -> None:
    created = await api.post(CONFIG_MAPS, a_config_map())
    answer = await api.delete(MAP)
    assert answer == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "settings", "kind": "configmaps", "uid": created["metadata"]["uid"]},
    }  # fmt: skip
    assert await gone(api, MAP)
    assert (await api.call("DELETE", MAP)).code == 404


async def test_a_finalizer_holds_an_object_until_it_is_removed(api: Api) -> None:
    await api.post(CONFIG_MAPS, held("example.dev/hold"))
    marked = await api.delete(MAP)
    assert marked["metadata"]["deletionTimestamp"] == "2026-11-24T12:00:00Z"
    again = await api.delete(MAP)
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    refused = await api.call("PATCH", MAP, {"metadata": {"finalizers": ["example.dev/hold", "example.dev/more"]}},
                             content_type="application/merge-patch+json")  # fmt: skip
    assert (refused.code, "no new finalizers can be added" in refused.message) == (422, True)
    await api.patch(MAP, {"metadata": {"finalizers": None}})
    assert await gone(api, MAP)


async def test_marking_counts_as_a_change_of_the_spec(api: Api) -> None:
    await api.post(DEPLOYMENTS, a_deployment() | {"metadata": {"name": "web", "finalizers": ["example.dev/hold"]}})
    assert (await api.delete(f"{DEPLOYMENTS}/web"))["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, ["orphan"]),
        ({"orphanDependents": True}, ["orphan"]),
    ],
)
async def test_dependents_are_for_the_garbage_collector(api: Api, options: Object, finalizers: list[str]) -> None:
    await api.post(DEPLOYMENTS, a_deployment())
    marked = await api.delete(f"{DEPLOYMENTS}/web", options)
    assert marked["metadata"]["finalizers"] == finalizers
    await api.patch(f"{DEPLOYMENTS}/web", {"metadata": {"finalizers": []}})
    assert await gone(api, f"{DEPLOYMENTS}/web")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"preconditions": {"uid": "other"}}, 409),
        ({"preconditions": {"resourceVersion": "1"}}, 409),
        ({"propagationPolicy": "Sideways"}, 422),
        ({"gracePeriodSeconds": "soon"}, 400),
    ],
)
async def test_a_deletion_may_be_refused(api: Api, options: Object, code: int) -> None:
    await api.post(CONFIG_MAPS, a_config_map())
    assert (await api.call("DELETE", MAP, options)).code == code
    assert not await gone(api, MAP)


async def test_a_deletion_may_be_conditional(api: Api) -> None:
    metadata = (await api.post(CONFIG_MAPS, a_config_map()))["metadata"]
    await api.delete(MAP, {"preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}})
    assert await gone(api, MAP)


async def test_a_pod_nobody_runs_goes_at_once(api: Api) -> None:
    await api.post(PODS, a_pod())
    assert (await api.delete(POD))["kind"] == "Pod"
    assert await gone(api, POD)


async def test_a_running_pod_gets_its_grace_period(api: Api, clock: Clock) -> None:
    await api.post(PODS, a_pod(nodeName="n1", terminationGracePeriodSeconds=20))
    marked = (await api.delete(POD))["metadata"]
    assert (marked["deletionGracePeriodSeconds"], marked["deletionTimestamp"]) == (20, "2026-11-24T12:00:20Z")
    shorter = (await api.delete(POD, {"gracePeriodSeconds": 5}))["metadata"]
    assert (shorter["deletionGracePeriodSeconds"], shorter["deletionTimestamp"]) == (5, "2026-11-24T12:00:05Z")
    longer = (await api.delete(POD, {"gracePeriodSeconds": 50}))["metadata"]
    assert longer["resourceVersion"] == shorter["resourceVersion"]
    await api.patch(f"{POD}/status", {"status": {"phase": "Succeeded"}})
    assert not await gone(api, POD)
    await api.delete(POD, gracePeriodSeconds="0")
    assert await gone(api, POD)


@pytest.mark.parametrize("more", [{}, {"propagationPolicy": "Background"}])
async def test_no_grace_means_now(api: Api, more: Any) -> None:
    await api.post(PODS, a_pod(nodeName="n1"))
    await api.delete(POD, {"gracePeriodSeconds": 0} | more)
    assert await gone(api, POD)


async def test_a_finished_pod_needs_no_grace(api: Api) -> None:
    await api.post(PODS, a_pod(nodeName="n1"))
    await api.patch(f"{POD}/status", {"status": {"phase": "Failed"}})
    await api.delete(POD)
    assert await gone(api, POD)


async def test_a_pod_with_a_finalizer_outlives_its_grace(api: Api) -> None:
    pod = a_pod(nodeName="n1") | {"metadata": {"name": "worker", "finalizers": ["example.dev/hold"]}}
    await api.post(PODS, pod)
    await api.delete(POD)
    assert (await api.delete(POD, {"gracePeriodSeconds": 0}))["metadata"]["deletionGracePeriodSeconds"] == 0
    await api.patch(POD, {"metadata": {"finalizers": None}})
    assert await gone(api, POD)
