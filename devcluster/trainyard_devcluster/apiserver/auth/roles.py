"""The roles every cluster has: cluster-admin, admin, edit and view for its users, and one for servers behind it."""

from collections.abc import Iterator

from trainyard_devcluster.apiserver.values import Object

AUTHENTICATION = "extension-apiserver-authentication"
"""The ConfigMap of kube-system that says how to know the API server."""
_GROUP = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_WORKLOADS = ["apps", "autoscaling", "batch", "discovery.k8s.io", "events.k8s.io", "networking.k8s.io", "policy"]
# Of core/v1 all that lives in namespaces, but Secrets.
_READABLE = [
    "configmaps", "endpoints", "events", "limitranges", "namespaces", "persistentvolumeclaims", "pods", "pods/log",
    "pods/status", "resourcequotas", "serviceaccounts", "services", "services/status",
]  # fmt: skip


def first_roles() -> Iterator[Object]:
    """Yield the roles, and the binding that makes masters of the cluster its administrators."""
    yield _cluster_role("cluster-admin", _rule(["*"], ["*"], ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]})
    for name, rules in _user_roles().items():
        # As on any cluster, add-ons extend the users' roles by labelled roles of their own.
        wanted = {"matchLabels": {f"{_GROUP}/aggregate-to-{name}": "true"}}
        yield _cluster_role(name, *rules) | {"aggregationRule": {"clusterRoleSelectors": [wanted]}}
    yield {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "cluster-admin"},
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "Group", "name": "system:masters"}],
    }
    yield {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Role",
        "metadata": {"name": f"{AUTHENTICATION}-reader", "namespace": "kube-system"},
        "rules": [_rule([""], ["configmaps"], _READ) | {"resourceNames": [AUTHENTICATION]}],
    }


def _user_roles() -> dict[str, list[Object]]:
    edit = [_rule(["", *_WORKLOADS], ["*"], [*_READ, *_WRITE])]
    roles = _rule([_GROUP], ["roles", "rolebindings"], [*_READ, *_WRITE])
    measured = _rule(["metrics.k8s.io", "custom.metrics.k8s.io"], ["*"], _READ)
    view = [_rule(_WORKLOADS, ["*"], _READ), _rule([""], _READABLE, _READ), measured]
    return {"admin": [*edit, measured, roles], "edit": [*edit, measured], "view": view}


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def _cluster_role(name: str, *rules: Object) -> Object:
    return {"apiVersion": f"{_GROUP}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}
