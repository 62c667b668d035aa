"""Role-based access control."""

from collections.abc import Iterator
from dataclasses import dataclass

from trainyard_devcluster.apiserver.auth.identity import MASTERS, User
from trainyard_devcluster.apiserver.errors import ApiError, forbidden, qualified
from trainyard_devcluster.apiserver.store import Store
from trainyard_devcluster.apiserver.values import Object

_GROUP = "rbac.authorization.k8s.io"
# What everyone who is authenticated may ask: system:discovery and system:basic-user.
_PUBLIC_PATHS = ("/api", "/apis", "/version", "/openapi", "/healthz", "/livez", "/readyz")
_SELF_REVIEWS = frozenset({"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"})


@dataclass(frozen=True, slots=True)
class Action:
    """What someone wants to do: a verb on a resource, or on a path."""

    verb: str
    group: str = ""
    plural: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def resource(self) -> str:
        """The resource as roles name it."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


def allowed(store: Store, user: User, action: Action) -> bool:
    """Return whether a user may do something."""
    if MASTERS in user.groups or action.plural in _SELF_REVIEWS:
        return True
    if action.path and action.verb == "get" and action.path.startswith(_PUBLIC_PATHS):
        return True
    return any(_permits(rule, action) for rule in rules_for(store, user, action.namespace))


def check(store: Store, user: User, action: Action) -> None:
    """Refuse what a user may not do.

    Raises:
        ApiError: 403.
    """
    if not allowed(store, user, action):
        raise denial(user, action)


def denial(user: User, action: Action) -> ApiError:
    """Return the error for a refused action."""
    if action.path:
        message = f'forbidden: User "{user.name}" cannot {action.verb} path "{action.path}"'
        return ApiError(403, "Forbidden", message, {})
    where = f' in the namespace "{action.namespace}"' if action.namespace else " at the cluster scope"
    why = f'User "{user.name}" cannot {action.verb} resource "{action.resource}" in API group "{action.group}"{where}'
    error = forbidden(action.plural, action.group, action.name, why)
    subject = qualified(action.resource if not action.subresource else action.plural, action.group)
    if action.subresource:
        subject = qualified(action.plural, action.group) + f"/{action.subresource}"
    named = f' "{action.name}"' if action.name else ""
    return ApiError(403, "Forbidden", f"{subject}{named} is forbidden: {why}", error.details)


def rules_for(store: Store, user: User, namespace: str) -> Iterator[Object]:
    """Yield the rules that a user's bindings grant, cluster-wide and in a namespace."""
    for binding in store.objects(f"clusterrolebindings.{_GROUP}"):
        if any(_is_subject(each, user, "") for each in binding.get("subjects") or ()):
            yield from _rules(store, binding["roleRef"], "")
    if not namespace:
        return
    for binding in store.objects(f"rolebindings.{_GROUP}", namespace):
        if any(_is_subject(each, user, namespace) for each in binding.get("subjects") or ()):
            yield from _rules(store, binding["roleRef"], namespace)


def _is_subject(subject: Object, user: User, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(subject["name"] == user.name)
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return False


def _rules(store: Store, reference: Object, namespace: str) -> Iterator[Object]:
    if reference["kind"] == "ClusterRole":
        found = store.get(f"clusterroles.{_GROUP}", ("", reference["name"]))
    else:
        found = store.get(f"roles.{_GROUP}", (namespace, reference["name"]))
    if found is None:
        return
    yield from found.obj.get("rules") or ()
    for selector in (found.obj.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        yield from _aggregated(store, selector.get("matchLabels") or {})


def _aggregated(store: Store, wanted: dict[str, str]) -> Iterator[Object]:
    for role in store.objects(f"clusterroles.{_GROUP}"):
        if wanted.items() <= (role["metadata"].get("labels") or {}).items():
            yield from role.get("rules") or ()


def _permits(rule: Object, action: Action) -> bool:
    if not _has(rule.get("verbs"), action.verb):
        return False
    if action.path:
        return any(_path_matches(each, action.path) for each in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    return (
        _has(rule.get("apiGroups"), action.group)
        and _resource_matches(rule.get("resources") or [], action)
        and (not names or action.name in names)
    )


def _has(values: list[str] | None, wanted: str) -> bool:
    return wanted in (values or ()) or "*" in (values or ())


def _resource_matches(resources: list[str], action: Action) -> bool:
    wildcard = f"*/{action.subresource}" if action.subresource else "*"
    return action.resource in resources or "*" in resources or wildcard in resources


def _path_matches(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
