"""Server-side apply: who owns what, who may change what, and what goes when nobody wants it."""

from typing import Any

import pytest

from support.objects import (
    CONFIG_MAPS,
    DEFINITIONS,
    DEPLOYMENTS,
    OPEN,
    PODS,
    SERVICES,
    WIDGETS,
    a_config_map,
    a_container,
    a_definition,
    a_deployment,
    a_pod,
    a_service,
    a_widget,
)

from .conftest import APPLY, Api, Clock, Object

MAP = f"{CONFIG_MAPS}/settings"
WEB = f"{DEPLOYMENTS}/web"


def owned(obj: Object, manager: str) -> Any:
    """Return the fields of a manager, None where it has none."""
    return next((each["fieldsV1"] for each in obj["metadata"]["managedFields"] if each["manager"] == manager), None)


async def test_an_apply_creates_what_is_not_there(api: Api) -> None:
    answer = await api.call("PATCH", MAP, a_config_map(a="1"), content_type=APPLY, fieldManager="me")
    assert answer.code == 201
    (entry,) = answer.body["metadata"]["managedFields"]
    assert entry == {
        "manager": "me",
        "operation": "Apply",
        "apiVersion": "v1",
        "time": "2026-11-24T12:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:a": {}}},
    }


async def test_an_apply_that_changes_nothing_stores_nothing(api: Api, clock: Clock) -> None:
    first = await api.apply(WEB, a_deployment())
    clock.advance(60)
    assert await api.apply(WEB, a_deployment()) == first


async def test_an_apply_of_the_same_takes_no_note_of_what_others_did(api: Api) -> None:
    await api.apply(WEB, a_deployment())
    await api.patch(f"{WEB}/status", {"status": {"replicas": 1}}, fieldManager="controller")
    scaled = await api.patch(WEB, {"spec": {"replicas": 5}}, fieldManager="scaler")
    again = await api.apply(WEB, a_deployment())
    assert again["metadata"]["resourceVersion"] == scaled["metadata"]["resourceVersion"]
    assert again["spec"]["replicas"] == 5


async def test_items_of_lists_are_owned_by_their_keys(api: Api) -> None:
    container = a_container(ports=[{"containerPort": 80}], env=[{"name": "A", "value": "1"}])
    applied = await api.apply(f"{PODS}/worker", a_pod(containers=[container]))
    fields = owned(applied, "tests")["f:spec"]["f:containers"]['k:{"name":"main"}']
    assert fields == {
        ".": {},
        "f:name": {},
        "f:image": {},
        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
    }


async def test_a_field_that_is_applied_no_longer_goes_with_its_last_owner(api: Api) -> None:
    await api.apply(MAP, a_config_map(a="1", b="2"), "one")
    await api.apply(MAP, a_config_map(a="1"), "two")
    assert (await api.apply(MAP, a_config_map(), "one"))["data"] == {"a": "1"}
    assert "data" not in await api.apply(MAP, {"apiVersion": "v1", "kind": "ConfigMap"}, "two")


async def test_what_others_changed_stays_when_it_is_applied_no_longer(api: Api) -> None:
    await api.apply(MAP, a_config_map(a="1", b="2"))
    await api.patch(MAP, {"data": {"b": "3"}}, fieldManager="other")
    assert (await api.apply(MAP, a_config_map(a="1")))["data"] == {"a": "1", "b": "3"}


async def test_an_item_goes_whole_with_what_the_server_filled_in(api: Api) -> None:
    two = [a_container("one"), a_container("two")]
    template = a_deployment()["spec"]["template"] | {"spec": {"containers": two}}
    await api.apply(WEB, a_deployment(template=template))
    template = template | {"spec": {"containers": two[:1]}}
    applied = await api.apply(WEB, a_deployment(template=template))
    assert [each["name"] for each in applied["spec"]["template"]["spec"]["containers"]] == ["one"]


async def test_a_field_of_another_is_not_taken_without_force(api: Api) -> None:
    await api.apply(MAP, a_config_map(a="1", b="1", c="1"), "one")
    two = a_config_map(a="2", c="1")
    refused = await api.call("PATCH", MAP, two, content_type=APPLY, fieldManager="two")
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert refused.causes == [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}]
    forced = await api.apply(MAP, two, "two", force="true")
    assert forced["data"] == {"a": "2", "b": "1", "c": "1"}
    assert owned(forced, "one") == {"f:data": {"f:b": {}, "f:c": {}}}
    assert owned(forced, "two") == {"f:data": {"f:a": {}, "f:c": {}}}


async def test_every_conflict_is_listed_by_manager(api: Api) -> None:
    await api.post(DEPLOYMENTS, a_deployment(replicas=2), fieldManager="maker")
    template = a_deployment()["spec"]["template"] | {"spec": {"containers": [a_container(image="other:1")]}}
    wanted = a_deployment(replicas=3, template=template)
    refused = await api.call("PATCH", WEB, wanted, content_type=APPLY, fieldManager="me")
    assert refused.message == (
        'Apply failed with 2 conflicts: conflicts with "maker" using apps/v1:\n'
        '- .spec.replicas\n- .spec.template.spec.containers[name="main"].image'
    )


async def test_equal_values_are_shared_without_force(api: Api) -> None:
    await api.post(DEPLOYMENTS, a_deployment(replicas=2), fieldManager="maker")
    shared = await api.apply(WEB, a_deployment(replicas=2))
    assert owned(shared, "tests")["f:spec"]["f:replicas"] == {}
    assert owned(shared, "maker")["f:spec"]["f:replicas"] == {}


async def test_updates_own_what_they_change(api: Api, clock: Clock) -> None:
    created = await api.post(CONFIG_MAPS, a_config_map(a="1", b="1"), agent="kubectl-create/1.0 (linux)")
    assert owned(created, "kubectl-create") == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
    clock.advance(1)
    patched = await api.patch(MAP, {"data": {"b": "2", "c": "3"}}, fieldManager="editor")
    assert owned(patched, "editor") == {"f:data": {"f:b": {}, "f:c": {}}}
    assert owned(patched, "kubectl-create") == {"f:data": {".": {}, "f:a": {}}}
    removed = await api.patch(MAP, {"data": {"b": None, "c": None}}, fieldManager="other")
    assert owned(removed, "editor") is None


async def test_status_and_scale_are_owned_apart(api: Api) -> None:
    await api.apply(WEB, a_deployment(replicas=1) | {"status": {"replicas": 3}})
    await api.patch(f"{WEB}/scale", {"spec": {"replicas": 4}}, fieldManager="scaler")
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "status": {"replicas": 4}}
    done = await api.apply(f"{WEB}/status", status, "reporter")
    managers = done["metadata"]["managedFields"]
    entries = {(each["manager"], each["operation"], each.get("subresource")) for each in managers}
    assert entries == {("tests", "Apply", None), ("scaler", "Update", "scale"), ("reporter", "Apply", "status")}
    assert owned(done, "reporter") == {"f:status": {"f:replicas": {}}}
    assert "f:replicas" not in owned(done, "tests")["f:spec"]
    assert done["status"] == {"replicas": 4}
    refused = await api.call("PATCH", WEB, a_deployment(replicas=1), content_type=APPLY, fieldManager="tests")
    assert refused.message.endswith('conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas')


async def test_unknown_fields_are_no_part_of_a_schema(api: Api) -> None:
    refused = await api.call("PATCH", WEB, a_deployment(colour="red"), content_type=APPLY, fieldManager="me")
    assert (refused.code, refused.message) == (
        500,
        "failed to create typed patch object (/web; apps/v1, Kind=Deployment): "
        ".spec.colour: field not declared in schema",
    )


async def test_keys_must_differ(api: Api) -> None:
    template = a_deployment()["spec"]["template"] | {"spec": {"containers": [a_container(), a_container()]}}
    wanted = a_deployment(template=template)
    refused = await api.call("PATCH", WEB, wanted, content_type=APPLY, fieldManager="me")
    assert 'duplicate entries for key [name="main"]' in refused.message


@pytest.mark.parametrize(
    ("body", "query", "code"),
    [
        (a_config_map(), {}, 422),
        (a_config_map("other"), {"fieldManager": "me"}, 400),
        (a_pod(), {"fieldManager": "me"}, 400),
        ({"metadata": {"name": "settings"}}, {"fieldManager": "me"}, 400),
        (a_config_map() | {"metadata": {"managedFields": [{"manager": "x"}]}}, {"fieldManager": "me"}, 400),
        (a_config_map() | {"metadata": {"managedFields": []}}, {"fieldManager": "me"}, 400),
        (a_config_map() | {"metadata": {"uid": "none"}}, {"fieldManager": "me"}, 409),
    ],
)
async def test_applies_that_make_no_sense_are_refused(api: Api, body: Object, query: dict[str, str], code: int) -> None:
    assert (await api.call("PATCH", MAP, body, content_type=APPLY, **query)).code == code


async def test_a_status_of_nothing_cannot_be_applied(api: Api) -> None:
    assert (await api.call("PATCH", f"{WEB}/status", a_deployment(), content_type=APPLY, fieldManager="me")).code == 404


async def test_a_service_keeps_what_the_server_chose(api: Api) -> None:
    first = await api.apply(f"{SERVICES}/web", a_service())
    second = await api.apply(f"{SERVICES}/web", a_service(selector={"app": "web", "revision": "2"}))
    assert second["spec"]["clusterIP"] == first["spec"]["clusterIP"]
    assert second["spec"]["selector"] == {"app": "web", "revision": "2"}
    third = await api.apply(f"{SERVICES}/web", a_service())
    assert third["spec"]["selector"] == {"app": "web"}


SCHEMA: Object = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "default": 3},
        "words": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "plain": {"type": "array", "items": {"type": "string"}},
        "whole": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
        "free": OPEN,
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "value": {"type": "integer"}},
            },
        },
    },
}
ONE = f"{WIDGETS}/one"


@pytest.mark.parametrize(
    ("one", "two", "both", "without_two"),
    [
        pytest.param({"words": ["a", "b"]}, {"words": ["c", "b"]}, {"words": ["a", "c", "b"]}, {"words": ["a", "b"]},
                     id="sets unite"),
        pytest.param(
            {"parts": [{"name": "a", "value": 1}]}, {"parts": [{"name": "b"}, {"name": "a"}]},
            {"parts": [{"name": "b"}, {"name": "a", "value": 1}]}, {"parts": [{"name": "a", "value": 1}]},
            id="maps in lists unite",
        ),
        pytest.param({"free": {"a": {"x": 1}}}, {"free": {"a": {"y": [1]}}}, {"free": {"a": {"x": 1, "y": [1]}}},
                     {"free": {"a": {"x": 1}}}, id="free maps unite"),
        pytest.param({"size": 5}, {"plain": ["a"]}, {"size": 5, "plain": ["a"]}, {"size": 5}, id="fields unite"),
        pytest.param({"plain": ["a"]}, {"size": 5}, {"plain": ["a"], "size": 5}, {"plain": ["a"], "size": 3},
                     id="a default comes back"),
    ],
)  # fmt: skip
async def test_two_managers_of_a_custom_resource(
    api: Api, one: Object, two: Object, both: Object, without_two: Object
) -> None:
    await api.post(DEFINITIONS, a_definition(SCHEMA))
    default = {"size": 3}
    await api.apply(ONE, a_widget(**one), "one")
    assert (await api.apply(ONE, a_widget(**two), "two"))["spec"] == default | both
    assert (await api.apply(ONE, a_widget(), "two"))["spec"] == default | without_two


async def test_an_entry_of_a_free_map_belongs_to_who_applied_it(api: Api) -> None:
    await api.post(DEFINITIONS, a_definition(SCHEMA))
    applied = await api.apply(ONE, a_widget(free={"a": {"b": {}, "c": {"d": 1}}}, whole={"e": "1"}), "one")
    assert owned(applied, "one") == {
        "f:spec": {"f:free": {"f:a": {".": {}, "f:b": {}, "f:c": {".": {}, "f:d": {}}}}, "f:whole": {}}
    }


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ({"plain": ["a"]}, {"plain": ["b"]}, ".spec.plain"),
        ({"whole": {"a": "1"}}, {"whole": {"b": "1"}}, ".spec.whole"),
        ({"parts": [{"name": "a", "value": 1}]}, {"parts": [{"name": "a", "value": 2}]}, '.spec.parts[name="a"].value'),
        ({"free": {"a": [1]}}, {"free": {"a": [2]}}, ".spec.free.a"),
    ],
)
async def test_conflicts_in_a_custom_resource(api: Api, first: Object, second: Object, path: str) -> None:
    await api.post(DEFINITIONS, a_definition(SCHEMA))
    await api.apply(ONE, a_widget(**first), "one")
    refused = await api.call("PATCH", ONE, a_widget(**second), content_type=APPLY, fieldManager="two")
    assert refused.message == f'Apply failed with 1 conflict: conflict with "one": {path}'
