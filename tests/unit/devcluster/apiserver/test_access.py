"""Who may do what."""

import pytest

from support.objects import CONFIG_MAPS, PODS, a_config_map, a_pod

from .conftest import Api, Object

ROLES = "/apis/rbac.authorization.k8s.io/v1"
LOCAL = f"{ROLES}/namespaces/default"
ROBOT = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}


async def a_robot(api: Api) -> Api:
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await api.post(accounts, {"metadata": {"name": "robot"}})
    return api.as_holder_of((await api.post(f"{accounts}/robot/token", {}))["status"]["token"])


async def grant(api: Api, *rules: Object, cluster: bool = False, subject: Object = ROBOT) -> None:
    base, kind = (ROLES, "Cluster") if cluster else (LOCAL, "")
    prefix = "cluster" if cluster else ""
    await api.post(f"{base}/{prefix}roles", {"metadata": {"name": "given"}, "rules": list(rules)})
    role = {"kind": f"{kind}Role", "name": "given"}
    binding = {"metadata": {"name": "given"}, "roleRef": role, "subjects": [subject]}
    await api.post(f"{base}/{prefix}rolebindings", binding)


def rule(verbs: str, resources: str, group: str = "", **more: object) -> Object:
    return {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()} | more


@pytest.mark.parametrize("token", ["", "wrong", "a.b.c"])
async def test_without_credentials_nothing_is_told(api: Api, token: str) -> None:
    stranger = api.as_holder_of(token)
    refused = await stranger.call("GET", PODS)
    assert (refused.code, refused.body["reason"], refused.message) == (401, "Unauthorized", "Unauthorized")
    assert (await stranger.call("GET", "/readyz")).body == "ok"


async def test_a_service_account_may_nothing_but_look_around(api: Api) -> None:
    robot = await a_robot(api)
    await robot.get("/apis")
    refused = await robot.call("GET", f"{PODS}/worker")
    assert (refused.code, refused.body["reason"]) == (403, "Forbidden")
    assert refused.message == (
        'pods "worker" is forbidden: User "system:serviceaccount:default:robot" cannot get resource "pods" '
        'in API group "" in the namespace "default"'
    )
    refused = await robot.call("GET", "/apis/apps/v1/deployments")
    assert refused.message == (
        'deployments.apps is forbidden: User "system:serviceaccount:default:robot" cannot list resource "deployments" '
        'in API group "apps" at the cluster scope'
    )


@pytest.mark.parametrize(
    ("given", "method", "path", "allowed"),
    [
        (rule("get list", "pods"), "GET", PODS, True),
        (rule("get list", "pods"), "DELETE", PODS, False),
        (rule("*", "*"), "GET", CONFIG_MAPS, True),
        (rule("*", "*", "apps"), "GET", CONFIG_MAPS, False),
        (rule("get", "pods"), "GET", f"{PODS}/worker/log", False),
        (rule("get", "pods/log"), "GET", f"{PODS}/worker/log", True),
        (rule("get", "*/log"), "GET", f"{PODS}/worker/log", True),
        (rule("get", "pods", resourceNames=["worker"]), "GET", f"{PODS}/worker", True),
        (rule("get", "pods", resourceNames=["other"]), "GET", f"{PODS}/worker", False),
        (rule("list", "pods"), "GET", "/api/v1/pods", False),
        (rule("list", "pods"), "GET", "/api/v1/namespaces/kube-system/pods", False),
        (rule("list watch", "pods"), "GET", f"{PODS}?watch=true&timeoutSeconds=1", True),
        (rule("get", "namespaces"), "GET", "/api/v1/namespaces/default", True),
    ],
)
async def test_a_role_allows_what_it_says(api: Api, given: Object, method: str, path: str, allowed: bool) -> None:
    await api.post(PODS, a_pod())
    robot = await a_robot(api)
    await grant(api, given)
    answer = await robot.call(method, path)
    assert (answer.code != 403) is allowed


@pytest.mark.parametrize(
    "subject",
    [
        ROBOT,
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "User", "name": "system:serviceaccount:default:robot"},
    ],
)
async def test_a_cluster_role_holds_everywhere(api: Api, subject: Object) -> None:
    robot = await a_robot(api)
    await grant(api, rule("list create", "configmaps"), cluster=True, subject=subject)
    await robot.post("/api/v1/namespaces/kube-system/configmaps", a_config_map())
    found = (await robot.get("/api/v1/configmaps"))["items"]
    assert [each["metadata"]["name"] for each in found] == ["extension-apiserver-authentication", "settings"]


async def test_viewers_see_no_secrets_and_what_add_ons_let_them_see(api: Api) -> None:
    robot = await a_robot(api)
    binding = {"metadata": {"name": "v"}, "roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [ROBOT]}
    await api.post(f"{LOCAL}/rolebindings", binding)
    await robot.get(CONFIG_MAPS)
    secrets = "/api/v1/namespaces/default/secrets"
    assert (await robot.call("GET", secrets)).code == 403
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    more = {"metadata": {"name": "more", "labels": labels}, "rules": [rule("list", "secrets")]}
    await api.post(f"{ROLES}/clusterroles", more)
    await robot.get(secrets)


async def test_paths_that_are_no_resources_have_rules_too(api: Api) -> None:
    robot = await a_robot(api)
    refused = await robot.call("GET", "/metrics")
    assert refused.message == 'forbidden: User "system:serviceaccount:default:robot" cannot get path "/metrics"'
    await grant(api, {"verbs": ["get"], "nonResourceURLs": ["/met*"]}, cluster=True)
    assert (await robot.call("GET", "/metrics")).code == 404


async def test_one_acts_as_another_only_where_that_is_allowed(api: Api) -> None:
    robot = await a_robot(api)
    reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    acting = await api.call("POST", reviews, {}, impersonate="system:serviceaccount:default:robot")
    assert acting.body["status"]["userInfo"] == {
        "username": "system:serviceaccount:default:robot",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    }
    refused = await robot.call("POST", reviews, {}, impersonate="jane")
    assert (refused.code, 'cannot impersonate resource "users"' in refused.message) == (403, True)


async def test_the_server_tells_what_one_may(api: Api) -> None:
    robot = await a_robot(api)
    await grant(api, rule("get", "pods"))
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for verb, expected in (("get", True), ("delete", False)):
        asked = {"spec": {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "default"}}}
        assert (await robot.post(reviews, asked))["status"]["allowed"] is expected
    other = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    asked = {"spec": {"user": "system:serviceaccount:default:robot",
                      "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}  # fmt: skip
    assert (await api.post(other, asked))["status"]["allowed"] is True
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    rules = await robot.post(reviews, {"spec": {"namespace": "default"}})
    assert rules["status"]["resourceRules"] == [rule("get", "pods")]
