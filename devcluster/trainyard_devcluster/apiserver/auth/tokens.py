"""Service account tokens: JSON web tokens signed with the server's own key."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass

from trainyard_devcluster.apiserver.values import Json, Object, encode

ISSUER = AUDIENCE = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs and verifies tokens."""

    key: bytes

    def sign(self, claims: Object) -> str:
        """Return a token with these claims."""
        head = {"alg": "HS256", "typ": "JWT"}
        message = f"{_encoded(encode(head))}.{_encoded(encode(claims))}"
        return f"{message}.{self._signature(message)}"

    def claims(self, token: str) -> Object | None:
        """Return a token's claims, None where it is not one of ours."""
        message, _, signature = token.rpartition(".")
        if not message or not hmac.compare_digest(signature, self._signature(message)):
            return None
        claims: Object | None = _decoded(message.partition(".")[2])
        return claims

    def _signature(self, message: str) -> str:
        return _encoded(hmac.new(self.key, message.encode(), hashlib.sha256).digest())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> Json:
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error):
        return None


def service_account_claims(
    account: Object, *, audiences: list[str], issued: int, seconds: int, bound: Object | None
) -> Object:
    """Return the claims of a token for a service account, optionally bound to a pod."""
    metadata = account["metadata"]
    private: Object = {
        "namespace": metadata["namespace"],
        "serviceaccount": {"name": metadata["name"], "uid": metadata["uid"]},
    }
    if bound:
        private[bound["kind"].lower()] = {"name": bound["name"], "uid": bound.get("uid", "")}
    return {
        "aud": audiences or [AUDIENCE],
        "exp": issued + seconds,
        "iat": issued,
        "nbf": issued,
        "iss": ISSUER,
        "kubernetes.io": private,
        "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
    }
