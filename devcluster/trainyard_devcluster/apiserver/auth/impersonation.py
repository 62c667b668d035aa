"""Acting as someone else, as `kubectl --as` asks for by headers."""

from multidict import CIMultiDictProxy

from trainyard_devcluster.apiserver.auth.identity import AUTHENTICATED, User
from trainyard_devcluster.apiserver.auth.rbac import Action, check
from trainyard_devcluster.apiserver.store import Store

_ACCOUNT = "system:serviceaccount:"


def effective_user(store: Store, user: User, headers: CIMultiDictProxy[str]) -> User:
    """Return who a request acts as: its sender, or whom the sender impersonates.

    Raises:
        ApiError: 403, the sender may not impersonate that user or group.
    """
    name, groups = headers.get("Impersonate-User"), headers.getall("Impersonate-Group", [])
    if name is None:
        return user
    if name.startswith(_ACCOUNT):
        namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
        check(store, user, Action("impersonate", plural="serviceaccounts", namespace=namespace, name=account))
        implied = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    else:
        check(store, user, Action("impersonate", plural="users", name=name))
        implied = []
    for group in groups:
        check(store, user, Action("impersonate", plural="groups", name=group))
    return User(name, groups=tuple(dict.fromkeys([*(groups or implied), AUTHENTICATED])))
