"""Creating, reading, replacing objects: what the server adds, and what it refuses."""

from typing import Any

import pytest

from support.objects import CONFIG_MAPS, DEPLOYMENTS, PODS, a_config_map, a_deployment, a_pod

from .conftest import Api


async def test_a_created_object_gets_what_only_the_server_gives(api: Api) -> None:
    created = await api.post(CONFIG_MAPS, a_config_map(color="red"))
    metadata = created["metadata"]
    assert created["data"] == {"color": "red"}
    assert metadata["uid"].startswith("uid-")
    assert metadata["namespace"] == "default"
    assert metadata["creationTimestamp"] == "2026-11-24T12:00:00Z"
    assert int(metadata["resourceVersion"]) > 1000
    assert await api.get(f"{CONFIG_MAPS}/settings") == created


async def test_a_second_object_of_the_name_is_refused(api: Api) -> None:
    await api.post(CONFIG_MAPS, a_config_map())
    refused = await api.call("POST", CONFIG_MAPS, a_config_map())
    assert (refused.code, refused.body["reason"]) == (409, "AlreadyExists")
    assert refused.message == 'configmaps "settings" already exists'
    assert refused.body["details"] == {"name": "settings", "kind": "configmaps"}


async def test_generated_names_differ(api: Api) -> None:
    body = {"metadata": {"generateName": "run-"}}
    names = {(await api.post(CONFIG_MAPS, body))["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    missing = await api.call("GET", f"{DEPLOYMENTS}/web")
    assert missing.code == 404
    assert missing.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'deployments.apps "web" not found',
        "reason": "NotFound",
        "details": {"name": "web", "group": "apps", "kind": "deployments"},
        "code": 404,
    }


@pytest.mark.parametrize("path", ["/apis/apps/v1/namespaces/default/nothings", "/apis/none.dev/v1/things", "/nowhere"])
async def test_unknown_paths_are_not_found(api: Api, path: str) -> None:
    missing = await api.call("GET", path)
    assert (missing.code, missing.message) == (404, "the server could not find the requested resource")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/v1/namespaces"), ("POST", "/api/v1/configmaps"), ("POST", f"{CONFIG_MAPS}/settings")],
)
async def test_verbs_that_a_path_does_not_have_are_not_allowed(api: Api, method: str, path: str) -> None:
    assert (await api.call(method, path, a_config_map())).code == 405


async def test_an_update_needs_the_latest_version_or_none(api: Api) -> None:
    first = await api.post(CONFIG_MAPS, a_config_map(color="red"))
    second = await api.put(f"{CONFIG_MAPS}/settings", first | {"data": {"color": "blue"}})
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    stale = await api.call("PUT", f"{CONFIG_MAPS}/settings", first | {"data": {"color": "green"}})
    assert (stale.code, stale.body["reason"]) == (409, "Conflict")
    assert stale.message == (
        'Operation cannot be fulfilled on configmaps "settings": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    unconditional = await api.put(f"{CONFIG_MAPS}/settings", a_config_map(color="green"))
    assert unconditional["data"] == {"color": "green"}
    assert unconditional["metadata"]["uid"] == first["metadata"]["uid"]


async def test_an_update_of_another_incarnation_is_refused(api: Api) -> None:
    await api.post(CONFIG_MAPS, a_config_map())
    other = a_config_map() | {"metadata": {"name": "settings", "uid": "other"}}
    refused = await api.call("PUT", f"{CONFIG_MAPS}/settings", other)
    assert refused.code == 409
    assert "UID in precondition: other" in refused.message


async def test_an_update_that_changes_nothing_stores_nothing(api: Api) -> None:
    created = await api.post(DEPLOYMENTS, a_deployment())
    updated = await api.put(f"{DEPLOYMENTS}/web", created)
    assert updated["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


async def test_an_update_cannot_change_what_is_the_servers(api: Api) -> None:
    created = await api.post(CONFIG_MAPS, a_config_map())
    forged = created["metadata"] | {"creationTimestamp": "2020-01-01T00:00:00Z", "generation": 7}
    updated = await api.put(f"{CONFIG_MAPS}/settings", created | {"metadata": forged, "data": {"a": "b"}})
    assert updated["metadata"]["creationTimestamp"] == created["metadata"]["creationTimestamp"]
    assert "generation" not in updated["metadata"]


async def test_the_generation_counts_changes_of_the_spec_alone(api: Api) -> None:
    created = await api.post(DEPLOYMENTS, a_deployment())
    assert created["metadata"]["generation"] == 1
    labelled = await api.patch(f"{DEPLOYMENTS}/web", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    scaled = await api.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}})
    assert scaled["metadata"]["generation"] == 2
    reported = await api.patch(f"{DEPLOYMENTS}/web/status", {"status": {"replicas": 3}})
    assert reported["metadata"]["generation"] == 2


async def test_spec_and_status_have_endpoints_of_their_own(api: Api) -> None:
    await api.post(DEPLOYMENTS, a_deployment() | {"status": {"replicas": 9}})
    both = {"spec": {"replicas": 3}, "status": {"replicas": 2}, "metadata": {"labels": {"a": "b"}}}
    after = await api.patch(f"{DEPLOYMENTS}/web/status", both)
    assert (after["spec"]["replicas"], after["status"]) == (1, {"replicas": 2})
    assert "labels" not in after["metadata"]
    after = await api.patch(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}, "status": {"replicas": 5}})
    assert (after["spec"]["replicas"], after["status"]) == (3, {"replicas": 2})


async def test_a_dry_run_tells_and_does_nothing(api: Api) -> None:
    told = await api.post(CONFIG_MAPS, a_config_map(color="red"), dryRun="All")
    assert told["data"] == {"color": "red"}
    assert (await api.call("GET", f"{CONFIG_MAPS}/settings")).code == 404
    await api.post(CONFIG_MAPS, a_config_map(color="red"))
    told = await api.patch(f"{CONFIG_MAPS}/settings", {"data": {"color": "blue"}}, dryRun="All")
    assert told["data"] == {"color": "blue"}
    await api.delete(f"{CONFIG_MAPS}/settings", dryRun="All")
    assert (await api.get(f"{CONFIG_MAPS}/settings"))["data"] == {"color": "red"}


async def test_names_and_types_must_agree_with_the_path(api: Api) -> None:
    await api.post(CONFIG_MAPS, a_config_map())
    wrong_name = await api.call("PUT", f"{CONFIG_MAPS}/settings", a_config_map("other"))
    assert wrong_name.message == "the name of the object (other) does not match the name on the URL (settings)"
    elsewhere = a_config_map("x") | {"metadata": {"name": "x", "namespace": "kube-system"}}
    wrong_namespace = await api.call("POST", CONFIG_MAPS, elsewhere)
    assert (wrong_namespace.code, "does not match the namespace" in wrong_namespace.message) == (400, True)
    wrong_kind = await api.call("POST", CONFIG_MAPS, a_pod())
    assert wrong_kind.code == 400


async def test_a_namespace_must_exist(api: Api) -> None:
    refused = await api.call("POST", "/api/v1/namespaces/none/configmaps", a_config_map())
    assert (refused.code, refused.message) == (404, 'namespaces "none" not found')


@pytest.mark.parametrize(
    ("validation", "code", "warnings"), [("Strict", 400, 0), ("Warn", 201, 2), ("Ignore", 201, 0), ("", 201, 2)]
)
async def test_unknown_fields_are_errors_or_warnings_as_asked(
    api: Api, validation: str, code: int, warnings: int
) -> None:
    pod = a_pod(colour="red", containers=[{"name": "main", "image": "x", "comand": ["y"]}])
    answer = await api.call("POST", PODS, pod, fieldValidation=validation)
    assert answer.code == code
    assert len(answer.warnings) == warnings
    if code == 400:
        assert answer.message == (
            'Pod in version "v1" cannot be handled as a Pod: strict decoding error: '
            'unknown field "spec.containers[0].comand", unknown field "spec.colour"'
        )
    else:
        assert "colour" not in answer.body["spec"]
    if warnings:
        assert answer.warnings[1] == '299 - "unknown field \\"spec.colour\\""'


@pytest.mark.parametrize("content_type", ["application/json", "application/yaml"])
async def test_fields_given_twice_are_found(api: Api, content_type: str) -> None:
    text = '{"metadata": {"name": "twice"}, "data": {"a": "1", "a": "2"}}'
    answer = await api.call("POST", CONFIG_MAPS, text, content_type=content_type, fieldValidation="Strict")
    assert (answer.code, 'duplicate field "a"' in answer.message) == (400, True)


async def test_values_of_the_wrong_type_are_refused_in_gos_words(api: Api) -> None:
    answer = await api.call("POST", DEPLOYMENTS, a_deployment(replicas="three"))
    assert answer.code == 400
    assert answer.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: '
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
    )


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        ("a: [", "application/yaml", 400),
        ("x", "text/plain", 415),
        ("x", "application/vnd.kubernetes.protobuf", 400),
    ],
)
async def test_bodies_that_cannot_be_read_are_refused(api: Api, content: str, content_type: str, code: int) -> None:
    assert (await api.call("POST", CONFIG_MAPS, content, content_type=content_type)).code == code


async def test_yaml_goes_in_and_out(api: Api) -> None:
    text = "metadata: {name: settings}\ndata: {when: '2026-01-01', color: red}\n"
    await api.post(CONFIG_MAPS, text, content_type="application/yaml")
    shown = await api.get(f"{CONFIG_MAPS}/settings", accept="application/yaml")
    assert "color: red" in shown


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        ("application/vnd.kubernetes.protobuf,application/json", 200),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", 200),
        ("*/*", 200),
        ("application/vnd.kubernetes.protobuf", 406),
    ],
)
async def test_the_first_form_that_is_offered_is_taken(api: Api, accept: str, code: int) -> None:
    assert (await api.call("GET", "/api/v1/namespaces/default", accept=accept)).code == code


async def test_metadata_alone_is_given_where_that_is_asked(api: Api) -> None:
    await api.post(CONFIG_MAPS, a_config_map(color="red"))
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    found = await api.get(CONFIG_MAPS, accept=accept)
    assert found["kind"] == "PartialObjectMetadataList"
    assert [set(item) for item in found["items"]] == [{"kind", "apiVersion", "metadata"}]


async def test_long_answers_are_compressed(api: Api) -> None:
    await api.post(CONFIG_MAPS, a_config_map(text="x" * 200_000))
    answer = await api.call("GET", f"{CONFIG_MAPS}/settings")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body["data"]["text"]) == 200_000


@pytest.mark.parametrize(
    ("metadata", "field", "text"),
    [
        ({"name": "Upper"}, "metadata.name", "a lowercase RFC 1123 subdomain must consist of"),
        ({}, "metadata.name", "Required value: name or generateName is required"),
        ({"name": "x", "labels": {"a b": "c"}}, "metadata.labels", "name part must consist of"),
        ({"name": "x", "labels": {"a": "b c"}}, "metadata.labels", "a valid label must be an empty string or consist"),
        ({"name": "x", "ownerReferences": [{"kind": "Pod", "name": "p", "apiVersion": "v1"}]},
         "metadata.ownerReferences.uid", ""),
    ],
)  # fmt: skip
async def test_metadata_has_rules(api: Api, metadata: dict[str, Any], field: str, text: str) -> None:
    refused = await api.call("POST", CONFIG_MAPS, {"metadata": metadata})
    assert refused.code == 422
    assert any(cause["field"] == field and text in cause["message"] for cause in refused.causes)
