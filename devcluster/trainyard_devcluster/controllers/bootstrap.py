"""What every cluster has from its first moment on, where the API server leaves it out."""

from collections.abc import Iterable

from trainyard_devcluster.client import AlreadyExistsError, Client
from trainyard_devcluster.resources import NAMESPACES, PRIORITY_CLASSES, STORAGE_CLASSES, Object, Resource

PROVISIONER = "trainyard.dev/local-folder"
DEFAULT_CLASS_ANNOTATION = "storageclass.kubernetes.io/is-default-class"

DEFAULT_CLASS: tuple[Resource, Object] = (
    STORAGE_CLASSES,
    {
        "metadata": {"name": "standard", "annotations": {DEFAULT_CLASS_ANNOTATION: "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    },
)


def _priority_class(name: str, value: int, description: str) -> Object:
    return {"metadata": {"name": name}, "value": value, "description": description}


def contents(*, volumes: bool) -> list[tuple[Resource, Object]]:
    """The objects; the default StorageClass only where volumes can be made."""
    names = ("default", "kube-system", "kube-public", "kube-node-lease")
    objects: list[tuple[Resource, Object]] = [(NAMESPACES, {"metadata": {"name": name}}) for name in names]
    for name, value in (("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)):
        description = "Used for pods that the cluster cannot do without."
        objects.append((PRIORITY_CLASSES, _priority_class(name, value, description)))
    if volumes:
        objects.append(DEFAULT_CLASS)
    return objects


async def create_missing(client: Client, objects: Iterable[tuple[Resource, Object]]) -> None:
    """Create what is not there yet."""
    for resource, body in objects:
        try:
            await client.create(resource, body)
        except AlreadyExistsError:
            continue
