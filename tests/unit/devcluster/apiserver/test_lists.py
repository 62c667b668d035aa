"""Lists: selectors, pages and resource versions."""

import pytest

from support.objects import CONFIG_MAPS, PODS, a_config_map, a_pod

from .conftest import Api

ALL = "/api/v1/configmaps"


async def made(api: Api, *names: str, **labels: str) -> None:
    for name in names:
        await api.post(CONFIG_MAPS, a_config_map() | {"metadata": {"name": name, "labels": labels}})


def names(found: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


async def test_a_list_holds_one_namespace_or_all(api: Api) -> None:
    await made(api, "b", "a")
    await api.post("/api/v1/namespaces/kube-system/configmaps", a_config_map("c"))
    assert names(await api.get(CONFIG_MAPS)) == ["a", "b"]
    found = await api.get(ALL)
    assert names(found) == ["a", "b", "c", "extension-apiserver-authentication"]
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")


async def test_items_of_built_in_lists_come_without_their_type(api: Api) -> None:
    await made(api, "a")
    assert set((await api.get(CONFIG_MAPS))["items"][0]) == {"metadata", "data"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=web", ["a"]),
        ("tier==web", ["a"]),
        ("tier!=web", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier in (web, db)", ["a", "b"]),
        ("tier notin (web)", ["b", "c"]),
        ("tier in (web,db),tier!=db", ["a"]),
    ],
)
async def test_labels_select(api: Api, selector: str, expected: list[str]) -> None:
    await made(api, "a", tier="web")
    await made(api, "b", tier="db")
    await made(api, "c")
    assert names(await api.get(CONFIG_MAPS, labelSelector=selector)) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=a", ["a"]),
        ("metadata.name!=a", ["b"]),
        ("spec.nodeName=", ["a"]),
        ("spec.nodeName=n1,status.phase=Pending", ["b"]),
        ("status.phase!=Pending", []),
    ],
)
async def test_fields_select(api: Api, selector: str, expected: list[str]) -> None:
    await api.post(PODS, a_pod("a"))
    await api.post(PODS, a_pod("b", nodeName="n1"))
    assert names(await api.get(PODS, fieldSelector=selector)) == expected


@pytest.mark.parametrize("query", [{"fieldSelector": "spec.image=x"}, {"labelSelector": "a in ("}, {"limit": "many"}])
async def test_what_is_no_selector_or_number_is_refused(api: Api, query: dict[str, str]) -> None:
    assert (await api.call("GET", PODS, **query)).code == 400


async def test_pages_show_one_moment(api: Api) -> None:
    await made(api, "a", "b", "c", "d")
    first = await api.get(CONFIG_MAPS, limit="2")
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 2
    await api.delete(f"{CONFIG_MAPS}/c")
    await made(api, "e")
    rest = await api.get(CONFIG_MAPS, limit="2", **{"continue": first["metadata"]["continue"]})
    assert names(rest) == ["c", "d"]
    assert "continue" not in rest["metadata"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_the_past_can_be_listed_exactly(api: Api) -> None:
    await made(api, "a")
    version = (await api.get(CONFIG_MAPS))["metadata"]["resourceVersion"]
    await made(api, "b")
    exact = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    assert names(await api.get(CONFIG_MAPS, **exact)) == ["a"]
    newer = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
    assert names(await api.get(CONFIG_MAPS, **newer)) == ["a", "b"]


async def test_the_forgotten_past_is_gone(api: Api) -> None:
    await made(api, *(f"m{index}" for index in range(60)))
    answer = await api.call("GET", CONFIG_MAPS, resourceVersion="1001", resourceVersionMatch="Exact")
    assert (answer.code, answer.body["reason"]) == (410, "Expired")


async def test_the_future_is_not_there_yet(api: Api) -> None:
    answer = await api.call("GET", CONFIG_MAPS, resourceVersion="99999")
    assert (answer.code, answer.causes[0]["reason"]) == (504, "ResourceVersionTooLarge")


@pytest.mark.parametrize(
    "query",
    [
        {"resourceVersionMatch": "Exact"},
        {"resourceVersionMatch": "Roughly", "resourceVersion": "1"},
        {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
    ],
)
async def test_a_match_needs_a_version_to_match(api: Api, query: dict[str, str]) -> None:
    assert (await api.call("GET", CONFIG_MAPS, **query)).code == 422


async def test_a_broken_token_is_refused(api: Api) -> None:
    assert (await api.call("GET", CONFIG_MAPS, **{"continue": "abc"})).code == 400


async def test_a_collection_is_deleted_by_selector(api: Api) -> None:
    await made(api, "a", "b", tier="web")
    await made(api, "c")
    await api.delete(CONFIG_MAPS, labelSelector="tier=web")
    assert names(await api.get(CONFIG_MAPS)) == ["c"]
