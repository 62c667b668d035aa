"""The review kinds: questions about users and permissions, answered and never stored."""

from trainyard_devcluster.apiserver.auth.identity import Authenticator, User
from trainyard_devcluster.apiserver.auth.rbac import Action, allowed, rules_for
from trainyard_devcluster.apiserver.auth.tokens import AUDIENCE
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.store import Store
from trainyard_devcluster.apiserver.values import Object


def answer(store: Store, authenticator: Authenticator, resource: Resource, user: User, review: Object) -> Object:
    """Return a review with its status."""
    spec = review.get("spec") or {}
    match resource.kind:
        case "TokenReview":
            status = _token_status(authenticator, spec)
        case "SelfSubjectReview":
            status = {"userInfo": user.wire}
        case "SelfSubjectRulesReview":
            status = _rules_status(store, user, spec.get("namespace", ""))
        case "SelfSubjectAccessReview":
            status = _access_status(store, user, spec)
        case _:
            asked = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()))
            status = _access_status(store, asked, spec)
    metadata = {"creationTimestamp": None} | (review.get("metadata") or {})
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _token_status(authenticator: Authenticator, spec: Object) -> Object:
    found = authenticator.bearer(spec.get("token", ""))
    if found is None:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": found.wire, "audiences": spec.get("audiences") or [AUDIENCE]}


def _access_status(store: Store, user: User, spec: Object) -> Object:
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if path is not None:
        action = Action(path.get("verb", ""), path=path.get("path", "/"))
    else:
        asked = asked or {}
        action = Action(
            asked.get("verb", ""), asked.get("group", ""), asked.get("resource", ""), asked.get("subresource", ""),
            asked.get("namespace", ""), asked.get("name", ""),
        )  # fmt: skip
    return {"allowed": True} if allowed(store, user, action) else {"allowed": False}


def _rules_status(store: Store, user: User, namespace: str) -> Object:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    found = [everything] if "system:masters" in user.groups else list(rules_for(store, user, namespace))
    paths = [
        {"verbs": each["verbs"], "nonResourceURLs": each["nonResourceURLs"]}
        for each in found
        if each.get("nonResourceURLs")
    ]
    return {
        "resourceRules": [each for each in found if each.get("resources")],
        "nonResourceRules": paths,
        "incomplete": False,
    }
