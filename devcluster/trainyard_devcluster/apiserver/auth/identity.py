"""From credentials to users."""

import hmac
from dataclasses import dataclass

from trainyard_devcluster.apiserver.auth.tokens import AUDIENCE, Signer
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.values import Object, dig

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated caller."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def wire(self) -> Object:
        """The user as `UserInfo`."""
        info: Object = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            info["uid"] = self.uid
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra}
        return info


ADMIN = User("kubernetes-admin", groups=(MASTERS, AUTHENTICATED))


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Knows the administrator's token and the tokens of service accounts."""

    cluster: Cluster
    admin_token: str
    signer: Signer

    def user(self, authorization: str) -> User | None:
        """Return who an `Authorization` header stands for, None where it proves nothing."""
        scheme, _, token = authorization.partition(" ")
        return self.bearer(token.strip()) if scheme.lower() == "bearer" else None

    def bearer(self, token: str) -> User | None:
        """Return who holds a token, None where it is not valid."""
        if hmac.compare_digest(token.encode(), self.admin_token.encode()):
            return ADMIN
        claims = self.signer.claims(token)
        if claims is None or AUDIENCE not in claims["aud"] or claims["exp"] < self.cluster.clock().timestamp():
            return None
        return self._account(claims["kubernetes.io"])

    def _account(self, bound: Object) -> User | None:
        """A token dies with its service account, and with the pod it was made for."""
        namespace, name = bound["namespace"], bound["serviceaccount"]["name"]
        uid = bound["serviceaccount"]["uid"]
        if not self._lives("serviceaccounts", namespace, name, uid):
            return None
        pod = bound.get("pod")
        if pod and not self._lives("pods", namespace, pod["name"], pod["uid"]):
            return None
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
        extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
        if pod:
            prefix = "authentication.kubernetes.io/pod-"
            extra = ((f"{prefix}name", (pod["name"],)), (f"{prefix}uid", (pod["uid"],)))
        return User(f"system:serviceaccount:{namespace}:{name}", uid, groups, extra)

    def _lives(self, table: str, namespace: str, name: str, uid: str) -> bool:
        found = self.cluster.store.get(table, (namespace, name))
        return found is not None and (not uid or dig(found.obj, "metadata", "uid") == uid)
