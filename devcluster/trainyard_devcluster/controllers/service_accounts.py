"""In every namespace: the ServiceAccount `default`, and the certificate that pods check the API server by."""

from trainyard_devcluster import pods
from trainyard_devcluster.client import AlreadyExistsError, NotFoundError
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    SERVICE_ACCOUNTS,
    Object,
    Resource,
    name_of,
    namespace_of,
)
from trainyard_devcluster.workqueue import WorkQueue

SERVICE_ACCOUNT = "default"
CERTIFICATE = "kube-root-ca.crt"


class NamespaceDefaultsController:
    """Restores both wherever they are missing."""

    name = "serviceaccount-controller"

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self.queue: WorkQueue[Key] = WorkQueue()
        self._namespaces = context.informer(NAMESPACES)
        self._accounts = context.informer(SERVICE_ACCOUNTS)
        self._config_maps = context.informer(CONFIG_MAPS)
        self._namespaces.on_change(lambda old, new: enqueue(self.queue, new))
        self._accounts.on_change(lambda old, new: self._gone(new, old, SERVICE_ACCOUNT))
        self._config_maps.on_change(lambda old, new: self._gone(new, old, CERTIFICATE))

    async def sync(self, key: Key) -> None:
        """Make what one namespace lacks."""
        namespace = self._namespaces.get(*key)
        if namespace is None or pods.is_terminating(namespace):
            return
        # The certificate first: a pod waits for its account, and has to find the certificate then.
        if self._config_maps.get(key[1], CERTIFICATE) is None and self._client.authority:
            metadata = {"name": CERTIFICATE, "namespace": key[1]}
            await self._create(CONFIG_MAPS, {"metadata": metadata, "data": {"ca.crt": self._client.authority}})
        if self._accounts.get(key[1], SERVICE_ACCOUNT) is None:
            await self._create(SERVICE_ACCOUNTS, {"metadata": {"name": SERVICE_ACCOUNT, "namespace": key[1]}})

    async def _create(self, resource: Resource, body: Object) -> None:
        try:
            await self._client.create(resource, body)
        except (AlreadyExistsError, NotFoundError):
            return

    def _gone(self, new: Object | None, old: Object | None, name: str) -> None:
        if new is None and old is not None and name_of(old) == name:
            self.queue.add(("", namespace_of(old)))
