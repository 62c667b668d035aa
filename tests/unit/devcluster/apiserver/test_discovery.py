"""Discovery and OpenAPI, as kubectl and the generated clients read them."""

import pytest

from support.objects import DEFINITIONS, OPEN, a_definition

from .conftest import Api

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


async def test_groups_and_versions(api: Api) -> None:
    assert (await api.get("/api"))["versions"] == ["v1"]
    groups = {each["name"]: each["preferredVersion"]["groupVersion"] for each in (await api.get("/apis"))["groups"]}
    assert groups["apps"] == "apps/v1"
    assert groups["autoscaling"] == "autoscaling/v2"
    assert (await api.get("/apis/batch"))["kind"] == "APIGroup"
    assert (await api.get("/version"))["minor"] == "36"


async def test_resources_of_a_version(api: Api) -> None:
    found = await api.get("/api/v1")
    resources = {each["name"]: each for each in found["resources"]}
    assert (found["groupVersion"], resources["pods"]["kind"], resources["pods"]["shortNames"]) == ("v1", "Pod", ["po"])
    assert {"pods/log", "pods/binding", "pods/status", "namespaces/finalize"} <= resources.keys()
    assert resources["serviceaccounts/token"]["group"] == "authentication.k8s.io"
    scale = next(each for each in (await api.get("/apis/apps/v1"))["resources"] if each["name"] == "deployments/scale")
    assert (scale["kind"], scale["group"], scale["version"]) == ("Scale", "autoscaling", "v1")


@pytest.mark.parametrize("path", ["/api/v2", "/apis/none.dev", "/apis/apps/v2"])
async def test_what_is_not_served_is_not_found(api: Api, path: str) -> None:
    assert (await api.call("GET", path)).code == 404


async def test_everything_at_once(api: Api) -> None:
    await api.post(DEFINITIONS, a_definition(OPEN))
    answer = await api.call("GET", "/apis", accept=AGGREGATED)
    assert answer.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    groups = {each["metadata"]["name"]: each["versions"] for each in answer.body["items"]}
    (widgets,) = groups["example.dev"][0]["resources"]
    assert widgets == {
        "resource": "widgets",
        "responseKind": {"group": "example.dev", "version": "v1", "kind": "Widget"},
        "scope": "Namespaced",
        "singularResource": "widget",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["wd"],
        "categories": ["gadgets"],
        "subresources": [
            {
                "subresource": "status",
                "responseKind": {"group": "example.dev", "version": "v1", "kind": "Widget"},
                "verbs": ["get", "patch", "update"],
            }
        ],
    }
    (core,) = (await api.get("/api", accept=AGGREGATED))["items"]
    assert "name" not in core["metadata"]


async def test_a_patch_of_every_kind_says_that_it_takes_field_validation(api: Api) -> None:
    await api.post(DEFINITIONS, a_definition(OPEN))
    index = (await api.get("/openapi/v3"))["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/example.dev/v1"} <= index.keys()
    for path, entry in index.items():
        document = await api.get(entry["serverRelativeURL"])
        for url, operations in document["paths"].items():
            if "patch" in operations:
                names = [each["name"] for each in operations["patch"]["parameters"]]
                assert "fieldValidation" in names, (path, url)
                assert operations["patch"]["x-kubernetes-group-version-kind"]["kind"]


async def test_every_reference_in_a_document_leads_somewhere(api: Api) -> None:
    document = await api.get("/openapi/v3/apis/apps/v1")
    schemas = document["components"]["schemas"]

    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(references(each) for each in value.values()))
        return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()

    found = references(document)
    assert found
    assert {each.rpartition("/")[2] for each in found} <= schemas.keys()
    deployment = schemas["io.k8s.api.apps.v1.Deployment"]
    assert deployment["type"] == "object"
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "version": "v1", "kind": "Deployment"}]


async def test_the_document_of_a_custom_group_follows_its_definition(api: Api) -> None:
    await api.post(DEFINITIONS, a_definition(OPEN))
    before = (await api.get("/openapi/v3"))["paths"]["apis/example.dev/v1"]["serverRelativeURL"]
    path = f"{DEFINITIONS}/widgets.example.dev"
    definition = await api.get(path)
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["properties"]["spec"]["description"] = "What the widget is to be."
    await api.put(path, definition)
    after = (await api.get("/openapi/v3"))["paths"]["apis/example.dev/v1"]["serverRelativeURL"]
    assert before != after
    schema = (await api.get(after))["components"]["schemas"]["dev.example.v1.Widget"]
    assert schema["properties"]["spec"]["description"] == "What the widget is to be."
    both = await api.get("/openapi/v2")
    assert both["swagger"] == "2.0"
    assert both["definitions"]["dev.example.v1.Widget"]["properties"]["spec"] == schema["properties"]["spec"]
    metadata = both["definitions"]["io.k8s.api.apps.v1.Deployment"]["properties"]["metadata"]
    assert metadata["allOf"][0]["$ref"].removeprefix("#/definitions/") in both["definitions"]
