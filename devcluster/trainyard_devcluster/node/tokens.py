"""Service account tokens for pods, and the kubeconfig that carries one to a process."""

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trainyard_devcluster.client import Client
from trainyard_devcluster.events import parse_timestamp, utc_now
from trainyard_devcluster.resources import SERVICE_ACCOUNTS, Object, name_of, namespace_of, uid_of


@dataclass(slots=True)
class PodTokens:
    """The tokens of one pod, requested from the API server and bound to the pod's life."""

    client: Client
    pod: Object
    _held: dict[tuple[str | None, int], tuple[str, datetime]] = field(default_factory=dict)

    async def renew(self, wanted: set[tuple[str | None, int]]) -> None:
        """Request every wanted token that is missing or has used up 80 % of its life. ApiError where refused."""
        now = utc_now()
        due = [key for key in sorted(wanted, key=str) if key not in self._held or self._held[key][1] <= now]
        for key, held in zip(due, await asyncio.gather(*(self._request(*key) for key in due)), strict=True):
            self._held[key] = held

    def text(self, audience: str | None, seconds: int) -> str:
        """A token that `renew` has requested."""
        return self._held[audience, seconds][0]

    def next_renewal(self) -> datetime | None:
        """When the first token should be renewed."""
        return min((due for _, due in self._held.values()), default=None)

    async def _request(self, audience: str | None, seconds: int) -> tuple[str, datetime]:
        asked = utc_now()
        bound = {"apiVersion": "v1", "kind": "Pod", "name": name_of(self.pod), "uid": uid_of(self.pod)}
        spec: Object = {
            "audiences": [audience] if audience else [],
            "expirationSeconds": seconds,
            "boundObjectRef": bound,
        }
        account = self.pod["spec"].get("serviceAccountName") or "default"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = SERVICE_ACCOUNTS.path(namespace_of(self.pod), account, "token")
        status = (await self.client.request("POST", path, body=body))["status"]
        life = parse_timestamp(status["expirationTimestamp"]) - asked
        return status["token"], asked + max(life * 0.8, timedelta(seconds=60))


def kubeconfig(server: str, authority: str, token: str, *, token_file: str, namespace: str) -> str:
    """A kubeconfig (JSON, which is YAML) for a pod's own account. `authority` is PEM, empty for the system's.

    It carries the token and the file that holds its successors: some clients read only the one, some only the other.
    """
    cluster = {"server": server} | (
        {"certificate-authority-data": b64encode(authority.encode()).decode()} if authority else {}
    )
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"token": token, "tokenFile": token_file}}],
            "contexts": [{"name": "pod", "context": {"cluster": "cluster", "user": "pod", "namespace": namespace}}],
            "current-context": "pod",
        },
        indent=1,
    )
