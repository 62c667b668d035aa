"""Service accounts: their tokens, and what roles let them do."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from support.kube_api import Api
from support.objects import a_config_map

ROLES = "rbac.authorization.k8s.io"


@pytest.fixture
def robot(api: Api, api_client: client.ApiClient) -> Iterator[client.CoreV1Api]:
    """The API server, as a service account sees it."""
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
    made = client.CoreV1Api(api_client).create_namespaced_service_account_token(
        "robot", api.namespace, {"spec": {"expirationSeconds": 600, "audiences": []}}
    )
    settings = client.Configuration.get_default_copy()
    settings.host = api_client.configuration.host
    settings.ssl_ca_cert = api_client.configuration.ssl_ca_cert
    settings.verify_ssl = api_client.configuration.verify_ssl
    settings.api_key = {"BearerToken": f"Bearer {made.status.token}"}
    with client.ApiClient(settings) as connected:
        yield client.CoreV1Api(connected)


def grant(api: Api, *verbs: str, names: tuple[str, ...] = ()) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}
    named = {"resourceNames": list(names)} if names else {}
    version, metadata = f"{ROLES}/v1", {"name": "robot"}
    api.create({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": [rule | named]})
    api.create({
        "apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": ROLES, "kind": "Role", "name": "robot"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": api.namespace}],
    })  # fmt: skip


def soon(call: Callable[[], Any], status: int) -> Any:
    """Return what a call gives once it ends with a status: roles take a moment to hold, and tokens are remembered."""
    deadline = time.monotonic() + 30
    while True:
        try:
            found, code = call(), 200
        except ApiException as error:
            found, code = None, error.status
        if code == status:
            return found
        assert time.monotonic() < deadline, f"expected {status}, got {code}"
        time.sleep(0.05)


def test_a_service_account_may_do_nothing_by_itself(api: Api, robot: client.CoreV1Api) -> None:
    with pytest.raises(ApiException) as refused:
        robot.list_namespaced_config_map(api.namespace)
    answer = json.loads(refused.value.body)
    assert (answer["code"], answer["reason"]) == (403, "Forbidden")
    user = f"system:serviceaccount:{api.namespace}:robot"
    assert answer["message"] == (
        f'configmaps is forbidden: User "{user}" cannot list resource "configmaps" in API group "" '
        f'in the namespace "{api.namespace}"'
    )


def test_a_role_allows_what_it_names(api: Api, robot: client.CoreV1Api) -> None:
    for name in ("mine", "other"):
        api.create(a_config_map(name))
    grant(api, "get", names=("mine",))
    assert soon(lambda: robot.read_namespaced_config_map("mine", api.namespace), 200).metadata.name == "mine"
    for call in (
        lambda: robot.read_namespaced_config_map("other", api.namespace),
        lambda: robot.delete_namespaced_config_map("mine", api.namespace),
        lambda: robot.list_namespaced_config_map(api.namespace),
    ):
        with pytest.raises(ApiException) as refused:
            call()
        assert refused.value.status == 403


def test_a_token_ends_with_its_account(api: Api, robot: client.CoreV1Api) -> None:
    grant(api, "list")
    soon(lambda: robot.list_namespaced_config_map(api.namespace), 200)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
    api.delete(account)
    api.wait_until_gone(account)
    soon(lambda: robot.list_namespaced_config_map(api.namespace), 401)
