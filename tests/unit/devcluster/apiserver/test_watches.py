"""Watches: where they begin, what they tell, how they end."""

from support.objects import CONFIG_MAPS, PODS, a_config_map, a_pod

from .conftest import Api

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def version_of(api: Api) -> str:
    return str((await api.get(CONFIG_MAPS))["metadata"]["resourceVersion"])


async def test_a_watch_tells_every_change_after_a_version(api: Api) -> None:
    version = await version_of(api)
    await api.post(CONFIG_MAPS, a_config_map("early"))
    watch = await api.watch(CONFIG_MAPS, resourceVersion=version)
    await api.patch(f"{CONFIG_MAPS}/early", {"data": {"a": "b"}})
    await api.delete(f"{CONFIG_MAPS}/early")
    assert await watch.names(3) == [("ADDED", "early"), ("MODIFIED", "early"), ("DELETED", "early")]


async def test_a_deletion_carries_a_version_of_its_own(api: Api) -> None:
    created = await api.post(CONFIG_MAPS, a_config_map())
    watch = await api.watch(CONFIG_MAPS, resourceVersion=created["metadata"]["resourceVersion"])
    await api.delete(f"{CONFIG_MAPS}/settings")
    last = (await watch.next())["object"]["metadata"]["resourceVersion"]
    assert int(last) == int(created["metadata"]["resourceVersion"]) + 1


async def test_without_a_version_a_watch_begins_with_what_is_there(api: Api) -> None:
    await api.post(CONFIG_MAPS, a_config_map("b"))
    await api.post(CONFIG_MAPS, a_config_map("a"))
    watch = await api.watch(CONFIG_MAPS)
    assert await watch.names(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_other_namespaces_are_not_told(api: Api) -> None:
    watch = await api.watch(CONFIG_MAPS, resourceVersion=await version_of(api))
    await api.post("/api/v1/namespaces/kube-system/configmaps", a_config_map("theirs"))
    await api.post(CONFIG_MAPS, a_config_map("ours"))
    assert await watch.names(1) == [("ADDED", "ours")]


async def test_one_object_can_be_watched_by_path_or_field(api: Api) -> None:
    for path, query in ((f"{CONFIG_MAPS}/b", {}), (CONFIG_MAPS, {"fieldSelector": "metadata.name=b"})):
        watch = await api.watch(path, resourceVersion=await version_of(api), **query)
        for name in ("a", "b"):
            await api.post(CONFIG_MAPS, a_config_map(name))
        assert await watch.names(1) == [("ADDED", "b")]
        await api.delete(CONFIG_MAPS)


async def test_who_comes_to_fit_a_selector_is_added_and_who_no_longer_does_is_deleted(api: Api) -> None:
    await api.post(PODS, a_pod("p"))
    watch = await api.watch(PODS, fieldSelector="status.phase=Running", resourceVersion=await version_of(api))
    for phase in ("Running", "Succeeded"):
        await api.patch(f"{PODS}/p/status", {"status": {"phase": phase, "message": phase}})
        await api.patch(f"{PODS}/p", {"metadata": {"labels": {"phase": phase}}})
    events = [await watch.next() for _ in range(3)]
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[-1]["object"]["status"]["phase"] == "Running"


async def test_a_forgotten_version_ends_the_watch_with_an_error(api: Api) -> None:
    for index in range(60):
        await api.post(CONFIG_MAPS, a_config_map(f"m{index}"))
    watch = await api.watch(CONFIG_MAPS, resourceVersion="1001")
    event = await watch.next()
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert await watch.ended()


async def test_a_streaming_list_marks_the_end_of_what_was_there(api: Api) -> None:
    await api.post(CONFIG_MAPS, a_config_map("a"))
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    watch = await api.watch(CONFIG_MAPS, **query)
    assert await watch.names(1) == [("ADDED", "a")]
    mark = await watch.next()
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert mark["object"]["metadata"]["resourceVersion"] == await version_of(api)
    assert (await api.call("GET", CONFIG_MAPS, watch="true", sendInitialEvents="true")).code == 422


async def test_a_watch_ends_in_time_with_a_bookmark(api: Api) -> None:
    watch = await api.watch(CONFIG_MAPS, timeoutSeconds="1", allowWatchBookmarks="true")
    mark = await watch.next()
    assert (mark["type"], mark["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
    assert mark["object"]["metadata"] == {"resourceVersion": await version_of(api)}
    assert await watch.ended()


async def test_tables_are_watched_row_by_row_with_their_heads_once(api: Api) -> None:
    watch = await api.watch(CONFIG_MAPS, accept=TABLE, resourceVersion=await version_of(api))
    for name in ("a", "b"):
        await api.post(CONFIG_MAPS, a_config_map(name, x="y"))
    first, second = await watch.next(), await watch.next()
    assert [head["name"] for head in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["object"]["columnDefinitions"] is None
    assert [event["object"]["rows"][0]["cells"] for event in (first, second)] == [["a", 1, "0s"], ["b", 1, "0s"]]
    assert first["object"]["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
