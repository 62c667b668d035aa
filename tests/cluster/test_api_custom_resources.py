"""Custom resources: schemas, defaults, rules, columns, as Trainyard's own resources need them."""

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import DynamicApiError

from support.kube_api import Api
from support.objects import OPEN, a_definition

GROUP = f"t{secrets.token_hex(4)}.example.dev"
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
SPEC = {
    "type": "object",
    "x-kubernetes-validations": [{"rule": "has(self.one) != has(self.other)", "message": "set exactly one of them"}],
    "properties": {
        "one": TEXT | {"maxLength": 3},
        "other": TEXT,
        "size": NUMBER | {"default": 3, "minimum": 1},
        "mode": TEXT | {"enum": ["Fast", "Slow"]},
        "fixed": TEXT | {"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "cannot change"}]},
        "free": OPEN,
        "inner": {"type": "object", "default": {}, "properties": {"deep": {"type": "boolean", "default": True}}},
    },
}
TYPE = '("object": )?'
"""Older versions of Kubernetes say which type the value has that breaks a rule."""
COLUMNS = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]


def a_thing(name: str = "thing", /, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module", autouse=True)
def definition(api_client: client.ApiClient) -> Iterator[None]:
    """A kind of the tests' own, in a group of their own."""
    api = Api(api_client, "default")
    manifest = a_definition(SPEC, additionalPrinterColumns=COLUMNS)
    manifest["metadata"]["name"] = f"widgets.{GROUP}"
    manifest["spec"]["group"] = GROUP
    manifest["spec"]["names"] |= {"shortNames": [], "categories": []}
    try:
        api.create(manifest)
        api.wait_for(manifest, lambda found: _established(found))
        yield
    finally:
        api.delete(manifest)


def _established(found: dict[str, Any]) -> bool:
    conditions = found.get("status", {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Established", "True") for each in conditions)


def causes(refused: pytest.ExceptionInfo[DynamicApiError]) -> list[tuple[str, str]]:
    return [(each["field"], each["message"]) for each in json.loads(refused.value.body)["details"]["causes"]]


def test_defaults_are_filled_in_and_unknown_fields_pruned(api: Api) -> None:
    created = api.create(a_thing(one="a", strange=1, free={"kept": {"x": 1}}))
    assert created["spec"] == {"one": "a", "size": 3, "free": {"kept": {"x": 1}}, "inner": {"deep": True}}


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({}, "spec", f"Invalid value: {TYPE}set exactly one of them"),
        ({"one": "a", "other": "b"}, "spec", f"Invalid value: {TYPE}set exactly one of them"),
        ({"one": "a", "size": 0}, "spec.size",
         "Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"one": "a", "mode": "Odd"}, "spec.mode", 'Unsupported value: "Odd": supported values: "Fast", "Slow"'),
        ({"one": "a", "size": "x"}, "spec.size",
         'Invalid value: "string": spec.size in body must be of type integer: "string"'),
    ],
)  # fmt: skip
def test_what_breaks_the_schema_or_a_rule_is_refused(api: Api, spec: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(DynamicApiError) as refused:
        api.create(a_thing(**spec))
    assert [each for at, each in causes(refused) if at == field and re.fullmatch(message, each)]


def test_a_transition_rule_compares_with_what_was(api: Api) -> None:
    thing = api.create(a_thing(one="a", fixed="x"))
    api.patch(thing, {"spec": {"size": 4}})
    with pytest.raises(DynamicApiError) as refused:
        api.patch(thing, {"spec": {"fixed": "y"}})
    [(field, message)] = causes(refused)
    assert field == "spec.fixed"
    assert re.fullmatch('Invalid value: "(y|string)": cannot change', message)


def test_an_unknown_field_is_refused_where_that_is_asked(api: Api, api_client: client.ApiClient) -> None:
    with pytest.raises(ApiException) as refused:
        client.CustomObjectsApi(api_client).create_namespaced_custom_object(
            GROUP, "v1", api.namespace, "widgets", a_thing(one="a", strange=1), field_validation="Strict"
        )
    assert refused.value.status == 400
    assert 'strict decoding error: unknown field "spec.strange"' in json.loads(refused.value.body)["message"]


def test_status_is_written_apart(api: Api, api_client: client.ApiClient) -> None:
    thing = api.create(a_thing(one="a") | {"status": {"phase": "Forged"}})
    assert "status" not in thing
    change = {"status": {"phase": "Fine"}, "spec": {"size": 9}}
    changed = client.CustomObjectsApi(api_client).patch_namespaced_custom_object_status(
        GROUP, "v1", api.namespace, "widgets", "thing", change
    )
    assert (changed["status"], changed["spec"]["size"], changed["metadata"]["generation"]) == ({"phase": "Fine"}, 3, 1)


def test_applying_the_same_again_changes_nothing(api: Api) -> None:
    first = api.apply(a_thing(one="a"))
    assert api.apply(a_thing(one="a")) == first


def test_columns_come_from_the_definition(api: Api, api_client: client.ApiClient) -> None:
    api.create(a_thing(one="a", size=7))
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    path = f"/apis/{GROUP}/v1/namespaces/{api.namespace}/widgets"
    request = api_client.param_serialize("GET", path, header_params=accept, auth_settings=["BearerToken"])
    answer = api_client.call_api(*request)
    table = json.loads(answer.read())
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Size"]
    assert table["rows"][0]["cells"] == ["thing", 7]
