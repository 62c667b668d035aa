"""What every pod of a node needs from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trainyard_devcluster.client import Client
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.node.addresses import AddressPool
from trainyard_devcluster.node.devices import Gpus
from trainyard_devcluster.node.env import service_links
from trainyard_devcluster.node.events import EventSink
from trainyard_devcluster.node.images import Image
from trainyard_devcluster.node.objects import ObjectStore
from trainyard_devcluster.node.settings import Settings
from trainyard_devcluster.resources import Object, namespace_of


@dataclass(frozen=True, slots=True)
class NodeContext:
    """One node's means, shared by its pods."""

    settings: Settings
    client: Client
    objects: ObjectStore
    events: EventSink
    addresses: AddressPool
    gpus: Gpus
    images: Sequence[Image]
    services: Informer

    @property
    def hosts_file(self) -> Path:
        """The names of the cluster."""
        return self.settings.folder / "hosts"

    def pod_folder(self, uid: str) -> Path:
        """Everything that belongs to one pod."""
        return self.settings.folder / "pods" / uid

    def cluster_variables(self, pod: Object) -> dict[str, str]:
        """What a container is told about the cluster: where the API server is, and the Services of its namespace."""
        server = urlsplit(self.client.server)
        host, port = server.hostname or "", str(server.port or 443)
        links = service_links(self._linked_services(pod)) if pod["spec"].get("enableServiceLinks", True) else {}
        return links | {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            "KUBERNETES_SERVICE_PORT_HTTPS": port,
            "KUBERNETES_PORT": f"tcp://{host}:{port}",
        }

    def _linked_services(self, pod: Object) -> list[Object]:
        services: Iterable[Object] = self.services
        return [service for service in services if namespace_of(service) == namespace_of(pod)]
