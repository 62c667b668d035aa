"""Watches, as informers use them."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.watch.watch import iter_resp_lines

from support.kube_api import Api
from support.objects import a_config_map

SECONDS = 20
Names = list[tuple[str, str]]


@pytest.fixture
def core(api_client: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


def watched(list_function: Any, namespace: str, ends: Callable[[Names], bool], **options: Any) -> Names:
    """Return the events of a watch up to where `ends` says so."""
    stream, seen = watch.Watch(), []
    for event in stream.stream(list_function, namespace, timeout_seconds=SECONDS, **options):
        seen.append((event["type"], event["object"].metadata.name))
        if ends(seen):
            stream.stop()
    return seen


def current(core: client.CoreV1Api, namespace: str) -> str:
    return str(core.list_namespaced_config_map(namespace).metadata.resource_version)


def test_a_watch_from_a_version_misses_nothing(api: Api, core: client.CoreV1Api) -> None:
    version = current(core, api.namespace)
    manifest = a_config_map("seen")
    api.create(manifest)
    api.patch(manifest, {"data": {"a": "b"}})
    api.delete(manifest)
    seen = watched(core.list_namespaced_config_map, api.namespace, lambda seen: len(seen) == 3,
                   resource_version=version, field_selector="metadata.name=seen")  # fmt: skip
    assert seen == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")]


def test_who_leaves_a_selection_is_deleted_from_it(api: Api, core: client.CoreV1Api) -> None:
    version = current(core, api.namespace)
    manifest = a_config_map() | {"metadata": {"name": "seen", "labels": {"tier": "web"}}}
    api.create(manifest)
    api.patch(manifest, {"metadata": {"labels": {"tier": "db"}}})
    seen = watched(core.list_namespaced_config_map, api.namespace, lambda seen: len(seen) == 2,
                   resource_version=version, label_selector="tier=web")  # fmt: skip
    assert seen == [("ADDED", "seen"), ("DELETED", "seen")]


def test_a_version_of_long_ago_is_gone(api: Api, core: client.CoreV1Api) -> None:
    api.create(a_config_map("seen"))
    status = 200
    try:
        watched(core.list_namespaced_config_map, api.namespace, lambda seen: True, resource_version="1")
    except ApiException as refused:
        status = refused.status
    if status == 200 and os.environ.get("KUBECONFIG"):
        pytest.skip("this cluster is so young that it has forgotten nothing")
    assert status == 410


def test_a_streaming_list_ends_with_a_bookmark(api: Api, core: client.CoreV1Api) -> None:
    api.create(a_config_map("there"))
    try:
        answer = core.list_namespaced_config_map(
            api.namespace, field_selector="metadata.name=there", watch=True, send_initial_events=True,
            resource_version_match="NotOlderThan", allow_watch_bookmarks=True, timeout_seconds=SECONDS,
            _preload_content=False,
        )  # fmt: skip
    except ApiException as refused:
        if "WatchList" not in str(refused.body):
            raise
        pytest.skip("streaming lists are off on this cluster: Kubernetes has them on by default in some versions only")
    events = (json.loads(line) for line in iter_resp_lines(answer) if line)
    added, mark = next(events), next(events)
    answer.close()
    assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "there")
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(mark["object"]["metadata"]["resourceVersion"]) >= int(added["object"]["metadata"]["resourceVersion"])
