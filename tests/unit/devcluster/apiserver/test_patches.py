"""JSON, merge and strategic-merge patches."""

from typing import Any

import pytest

from support.objects import (
    CONFIG_MAPS,
    DEFINITIONS,
    DEPLOYMENTS,
    OPEN,
    WIDGETS,
    a_config_map,
    a_definition,
    a_deployment,
    a_widget,
)
from trainyard_devcluster.apiserver.patch.simple import merge_patch
from trainyard_devcluster.apiserver.patch.strategic import strategic_merge
from trainyard_devcluster.apiserver.schema.builtin import definition

from .conftest import Api

JSON, STRATEGIC = "application/json-patch+json", "application/strategic-merge-patch+json"


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": None, "c": 3}, {"b": 2, "c": 3}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
)  # fmt: skip
def test_a_merge_patch_follows_rfc_7386(value: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(value, patch) == expected


@pytest.mark.parametrize(
    ("value", "patch", "expected"),
    [
        pytest.param(
            {"containers": [{"name": "a", "image": "1"}, {"name": "b"}]},
            {"containers": [{"name": "a", "image": "2"}]},
            {"containers": [{"name": "a", "image": "2"}, {"name": "b"}]},
            id="items merge by key",
        ),
        pytest.param(
            {"containers": [{"name": "a"}]}, {"containers": [{"name": "b"}]},
            {"containers": [{"name": "a"}, {"name": "b"}]}, id="new items are appended",
        ),
        pytest.param(
            {"containers": [{"name": "a"}, {"name": "b"}]}, {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": [{"name": "b"}]}, id="items are deleted",
        ),
        pytest.param(
            {"containers": [{"name": "a"}]}, {"containers": [{"$patch": "replace"}, {"name": "b"}]},
            {"containers": [{"name": "b"}]}, id="lists are replaced",
        ),
        pytest.param(
            {"containers": [{"name": "a"}, {"name": "b"}]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
             "containers": [{"name": "a", "image": "x"}]},
            {"containers": [{"name": "b"}, {"name": "a", "image": "x"}]}, id="items are ordered",
        ),
        pytest.param(
            {"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]},
            id="lists without a key are replaced",
        ),
        pytest.param(
            {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "x"}]}]},
            {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "y"}]}]},
            {"containers": [{"name": "a", "ports": [{"containerPort": 80, "name": "y"}]}]}, id="inner lists merge",
        ),
        pytest.param(
            {"securityContext": {"runAsUser": 1, "fsGroup": 2}},
            {"securityContext": {"$patch": "replace", "runAsUser": 3}},
            {"securityContext": {"runAsUser": 3}}, id="maps are replaced",
        ),
        pytest.param(
            {"nodeSelector": {"a": "1", "b": "2"}}, {"nodeSelector": {"a": None}}, {"nodeSelector": {"b": "2"}},
            id="null deletes",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]},
            {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}, id="a union keeps one member",
        ),
    ],
)  # fmt: skip
def test_a_strategic_patch_knows_the_keys_of_lists(value: Any, patch: Any, expected: Any) -> None:
    assert strategic_merge(value, patch, definition("io.k8s.api.core.v1.PodSpec")) == expected


def test_lists_of_plain_values_merge_and_lose_values() -> None:
    schema = definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    value = {"finalizers": ["a/a", "b/b"]}
    assert strategic_merge(value, {"finalizers": ["c/c"]}, schema)["finalizers"] == ["a/a", "b/b", "c/c"]
    assert strategic_merge(value, {"$deleteFromPrimitiveList/finalizers": ["a/a"]}, schema) == {"finalizers": ["b/b"]}


async def test_patches_by_wire(api: Api) -> None:
    await api.post(DEPLOYMENTS, a_deployment())
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x:2"}]}}}}
    patched = await api.patch(f"{DEPLOYMENTS}/web", change, STRATEGIC)
    container = patched["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == ("x:2", "IfNotPresent")
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 1},
        {"op": "replace", "path": "/spec/replicas", "value": 4},
    ]
    assert (await api.patch(f"{DEPLOYMENTS}/web", operations, JSON))["spec"]["replicas"] == 4
    failed = await api.call("PATCH", f"{DEPLOYMENTS}/web", operations, content_type=JSON)
    assert (failed.code, failed.body["reason"]) == (422, "Invalid")


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        (JSON, [{"op": "jump", "path": "/a"}], 400),
        (JSON, {"a": 1}, 400),
        (JSON, [{"op": "remove", "path": "/data/none"}], 422),
        ("application/merge-patch+json", [1], 400),
        ("application/json", {}, 415),
        (STRATEGIC, {"$patch": "explode"}, 400),
        ("application/merge-patch+json", {"metadata": {"name": "other"}}, 400),
        ("application/merge-patch+json", {"metadata": {"resourceVersion": "1"}}, 409),
        ("application/merge-patch+json", {"metadata": {"uid": "other"}}, 409),
        ("application/merge-patch+json", {"data": {"a": 1}}, 400),
    ],
)
async def test_patches_that_cannot_be_done_are_refused(api: Api, content_type: str, body: Any, code: int) -> None:
    await api.post(CONFIG_MAPS, a_config_map())
    assert (await api.call("PATCH", f"{CONFIG_MAPS}/settings", body, content_type=content_type)).code == code


async def test_a_patch_of_nothing_is_not_found(api: Api) -> None:
    assert (await api.call("PATCH", f"{CONFIG_MAPS}/none", {}, content_type=STRATEGIC)).code == 404


async def test_custom_resources_take_no_strategic_patch(api: Api) -> None:
    await api.post(DEFINITIONS, a_definition(OPEN))
    await api.post(WIDGETS, a_widget())
    assert (await api.call("PATCH", f"{WIDGETS}/one", {}, content_type=STRATEGIC)).code == 415


async def test_a_patch_that_changes_nothing_stores_nothing(api: Api) -> None:
    created = await api.post(CONFIG_MAPS, a_config_map(a="1"))
    patched = await api.patch(f"{CONFIG_MAPS}/settings", {"data": {"a": "1"}})
    assert patched["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
