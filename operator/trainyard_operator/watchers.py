"""The watches: kopf delivers events, each of which does no more than put a key into the queue.

Only low-level `@kopf.on.event` handlers are used, for which kopf writes nothing on anybody's objects: no finalizer, no
annotation. Children are filtered by label on the server.
"""

import asyncio
from typing import Any

import kopf

from trainyard_api.names import MANAGED_BY, MANAGED_BY_LABEL
from trainyard_operator.cluster.connect import load_configuration
from trainyard_operator.cluster.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    MODEL_SERVICE,
    POD,
    SERVICE,
    TRAINING_JOB,
    Kind,
)
from trainyard_operator.runtime.router import Router

PARENTS = (TRAINING_JOB, MODEL_SERVICE)
CHILDREN = (JOB, DEPLOYMENT, POD, SERVICE, CONFIG_MAP)


async def watch(router: Router, namespaces: tuple[str, ...], *, started: asyncio.Event, request_timeout: float) -> None:
    """Watch until a signal arrives. To be cancelled for any other reason: kopf's stop flag costs 5 s at every end.

    Raises:
        Exception: a watch broke for good; without it the operator would be blind.
    """
    await kopf.operator(
        registry=_registry(router),
        settings=_settings(request_timeout),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        ready_flag=started,
    )


def _registry(router: Router) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    async def on_parent(event: kopf.RawEvent, **_: Any) -> None:
        router.parent(event["object"], gone=event["type"] == "DELETED")

    async def on_child(event: kopf.RawEvent, **_: Any) -> None:
        router.child(event["object"])

    async def on_login(**_: Any) -> kopf.ConnectionInfo:
        return await _login()

    for kinds, handler in ((PARENTS, on_parent), (CHILDREN, on_child)):
        for kind in kinds:
            kopf.on.event(
                group=kind.group, version=kind.version, plural=kind.plural, id=kind.plural, registry=registry
            )(handler)
    kopf.on.login(registry=registry)(on_login)
    return registry


async def _login() -> kopf.ConnectionInfo:
    """Log kopf in as our own client is; kopf asks again when its token is no longer taken."""
    configuration = await load_configuration()
    header = await configuration.get_api_key_with_prefix("BearerToken")
    scheme, _, token = header.partition(" ") if header else ("", "", "")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme.capitalize() or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )


def _settings(request_timeout: float) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Events are recorded by our workers, after the status they tell about was written.
    settings.posting.enabled = False
    settings.peering.standalone = True
    # No permission on CRDs and namespaces is needed then; the CRDs must exist first, which the resync checks.
    settings.scanning.disabled = True
    settings.watching.chunk_size = 500
    settings.watching.connect_timeout = 10.0
    settings.networking.connect_timeout = 10.0
    settings.networking.request_timeout = request_timeout
    # Below a pod's default grace period of 30 s.
    settings.process.ultimate_exiting_timeout = 25.0
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.diffbase_storage = _NoDiffBase()
    for kind in CHILDREN:
        settings.watching.label_selectors[_selector(kind)] = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    return settings


def _selector(kind: Kind) -> tuple[str, str, str]:
    return kind.group, kind.version, kind.plural


class _NoProgress(kopf.ProgressStorage):
    """Stores nothing: the handlers have no state."""

    def fetch(self, **_: Any) -> None:
        """Find nothing."""

    def store(self, **_: Any) -> None:
        """Store nothing."""

    def purge(self, **_: Any) -> None:
        """Remove nothing."""

    def touch(self, **_: Any) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Have nothing to clear."""
        return essence


class _NoDiffBase(kopf.DiffBaseStorage):
    """Compares nothing: by default kopf copies and compares every object on every event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return an empty essence."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        """Find nothing."""

    def store(self, **_: Any) -> None:
        """Store nothing."""
