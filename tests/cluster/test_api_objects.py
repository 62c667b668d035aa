"""What every part of Trainyard relies on an API server for: versions, ownership of fields, selection, validation."""

import json
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, DynamicApiError

from support.kube_api import Api
from support.objects import a_config_map, a_container, a_deployment, a_job, a_pod, a_service


@pytest.fixture
def core(api_client: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api_client)


@pytest.fixture
def dynamic(api_client: client.ApiClient) -> DynamicClient:
    return DynamicClient(api_client)


def status(error: ApiException | DynamicApiError) -> Any:
    return json.loads(error.body)


def version(obj: Any) -> str:
    return str(obj["metadata"]["resourceVersion"])


def test_a_stale_update_is_a_conflict(api: Api, core: client.CoreV1Api) -> None:
    first = api.create(a_config_map(color="red"))
    api.patch(first, {"data": {"color": "blue"}})
    with pytest.raises(ApiException) as refused:
        core.replace_namespaced_config_map("settings", api.namespace, first)
    assert (refused.value.status, status(refused.value)["reason"]) == (409, "Conflict")


def test_a_write_that_changes_nothing_leaves_the_version(api: Api) -> None:
    for manifest in (a_config_map(a="1"), a_service()):  # No controller writes to these.
        applied = api.apply(manifest)
        assert version(api.apply(manifest)) == version(applied)
        assert version(api.patch(manifest, {"metadata": {"labels": None}})) == version(applied)


def test_only_the_spec_counts_as_a_generation(api: Api) -> None:
    deployment = a_deployment(replicas=0)
    assert api.create(deployment)["metadata"]["generation"] == 1
    assert api.patch(deployment, {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    assert api.patch(deployment, {"spec": {"minReadySeconds": 3}})["metadata"]["generation"] == 2


def test_managers_own_their_fields_and_no_others(api: Api, dynamic: DynamicClient) -> None:
    resource = dynamic.resources.get(api_version="v1", kind="ConfigMap")

    def apply(manager: str, *, force: bool = False, **data: str) -> Any:
        manifest = a_config_map("shared", **data)
        return resource.server_side_apply(
            body=manifest, namespace=api.namespace, field_manager=manager, force_conflicts=force
        ).to_dict()

    apply("one", a="1", b="1")
    assert apply("two", c="1")["data"] == {"a": "1", "b": "1", "c": "1"}
    with pytest.raises(ConflictError) as refused:
        apply("two", a="2", c="1")
    answer = status(refused.value)
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert answer["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    assert apply("two", a="2", c="1", force=True)["data"]["a"] == "2"
    assert apply("one", b="1")["data"] == {"a": "2", "b": "1", "c": "1"}
    assert apply("two")["data"] == {"b": "1"}


def test_a_strategic_patch_merges_containers_by_name(api: Api, api_client: client.ApiClient) -> None:
    api.create(a_deployment(replicas=0))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "x:1"}]}}}}
    patched = client.AppsV1Api(api_client).patch_namespaced_deployment("web", api.namespace, change)
    assert sorted(each.name for each in patched.spec.template.spec.containers) == ["main", "side"]


def test_labels_and_fields_select(api: Api, core: client.CoreV1Api) -> None:
    for name, tier in (("a", "web"), ("b", "db")):
        api.create(a_config_map() | {"metadata": {"name": name, "labels": {"tier": tier}}})
    found = core.list_namespaced_config_map(api.namespace, label_selector="tier in (web),tier!=db")
    assert [each.metadata.name for each in found.items] == ["a"]
    found = core.list_namespaced_config_map(api.namespace, field_selector="metadata.name=b")
    assert [each.metadata.name for each in found.items] == ["b"]


def test_a_list_comes_in_pages_of_one_moment(api: Api, core: client.CoreV1Api) -> None:
    names = ["a", "b", "c"]
    for name in names:
        api.create(a_config_map(name) | {"metadata": {"name": name, "labels": {"page": "1"}}})
    seen, token = [], None
    while True:
        page = core.list_namespaced_config_map(api.namespace, label_selector="page=1", limit=2, _continue=token)
        seen += [each.metadata.name for each in page.items]
        api.delete(a_config_map("c"))
        token = page.metadata._continue
        if not token:
            break
    assert seen == names


def test_a_deletion_may_be_tied_to_one_incarnation(api: Api, core: client.CoreV1Api) -> None:
    api.create(a_config_map())
    with pytest.raises(ApiException) as refused:
        core.delete_namespaced_config_map("settings", api.namespace, body={"preconditions": {"uid": "other"}})
    assert refused.value.status == 409


def test_a_finalizer_holds_an_object(api: Api) -> None:
    held = a_config_map() | {"metadata": {"name": "settings", "finalizers": ["trainyard.dev/test"]}}
    api.create(held)
    api.delete(held)
    marked = api.get(held)
    assert marked is not None
    assert marked["metadata"]["deletionTimestamp"]
    api.patch(held, {"metadata": {"finalizers": None}})
    api.wait_until_gone(held)


@pytest.mark.parametrize(
    ("manifest", "field", "message"),
    [
        (a_deployment(replicas=-1), "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        (a_pod(containers=[a_container(), a_container()]), "spec.containers[1].name", 'Duplicate value: "main"'),
        (a_pod(containers=[a_container(volumeMounts=[{"name": "none", "mountPath": "/x"}])]),
         "spec.containers[0].volumeMounts[0].name", 'Not found: "none"'),
        (a_job(template={"spec": {"containers": [a_container()]}}), "spec.template.spec.restartPolicy",
         'Required value: valid values: "OnFailure", "Never"'),
        (a_service(ports=[]), "spec.ports", "Required value"),
    ],
    ids=["replicas", "container names", "mounts", "restart policy", "ports"],
)  # fmt: skip
def test_what_cannot_work_is_refused_by_field(api: Api, manifest: Any, field: str, message: str) -> None:
    with pytest.raises(DynamicApiError) as refused:
        api.create(manifest)
    answer = status(refused.value)
    assert (answer["code"], answer["reason"]) == (422, "Invalid")
    assert (field, message) in [(cause["field"], cause["message"]) for cause in answer["details"]["causes"]]


def test_the_server_fills_in_what_controllers_read(api: Api) -> None:
    job = api.create(a_job(suspend=True))
    uid = job["metadata"]["uid"]
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert job["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "train"
    assert (job["spec"]["backoffLimit"], job["spec"]["completions"]) == (6, 1)
    service = api.create(a_service())
    assert service["spec"]["clusterIP"]
    assert service["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
