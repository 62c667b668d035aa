"""The one port to the API server: what the client may ask of it, on plain dictionaries."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

from trainyard_api import modelservice, trainingjob
from trainyard_api.meta import GROUP, VERSION

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as the API server speaks it."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, and where it is served."""

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Group and version as manifests write them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path of one object, or of all in a namespace, or of all."""
        parts = ["apis", self.group] if self.group else ["api"]
        parts += [self.version]
        parts += ["namespaces", namespace] if namespace and self.namespaced else []
        parts += [self.plural, *filter(None, (name, subresource))]
        return "/" + "/".join(quote(part, safe=":") for part in parts)


TRAINING_JOBS = Resource(trainingjob.KIND, trainingjob.PLURAL, GROUP, VERSION)
MODEL_SERVICES = Resource(modelservice.KIND, modelservice.PLURAL, GROUP, VERSION)
CONFIG_MAPS = Resource("ConfigMap", "configmaps")
CLAIMS = Resource("PersistentVolumeClaim", "persistentvolumeclaims")
PODS = Resource("Pod", "pods")
SERVICES = Resource("Service", "services")
EVENTS = Resource("Event", "events")
NODES = Resource("Node", "nodes", namespaced=False)
JOBS = Resource("Job", "jobs", "batch")
DEPLOYMENTS = Resource("Deployment", "deployments", "apps")
STORAGE_CLASSES = Resource("StorageClass", "storageclasses", "storage.k8s.io", namespaced=False)
CRDS = Resource("CustomResourceDefinition", "customresourcedefinitions", "apiextensions.k8s.io", namespaced=False)
ACCESS_REVIEWS = Resource("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io", "v1", False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody behind the API server's proxy answered."""

    status: int
    body: bytes


class Cluster(Protocol):
    """Reads and writes objects. Every call has a time limit and raises `ClusterError` or `Unreachable` only."""

    @property
    def namespace(self) -> str:
        """The namespace of the kubeconfig's context, or of the pod."""
        ...

    @property
    def server(self) -> str:
        """The address of the API server."""
        ...

    def get(self, resource: Resource, namespace: str | None, name: str) -> Manifest:
        """Return the object.

        Raises:
            NotFound: there is none.
        """
        ...

    def select(
        self, resource: Resource, namespace: str | None, *, labels: str | None = None, fields: str | None = None
    ) -> list[Manifest]:
        """Return the objects of a namespace, or of all (None), in the order of their names."""
        ...

    def watch(self, resource: Resource, namespace: str, name: str, *, seconds: float) -> Iterator[Manifest | None]:
        """Yield the object as it is, and again on every change, None while there is none; ends after `seconds`."""
        ...

    def create(self, resource: Resource, namespace: str | None, manifest: Manifest) -> Manifest:
        """Create the object; a field the API server does not know is refused.

        Raises:
            Conflict: the name is taken.
            Refused: the manifest is wrong.
        """
        ...

    def patch(
        self, resource: Resource, namespace: str, name: str, change: Manifest, *, strategic: bool = False
    ) -> Manifest:
        """Merge a change into an object; returns the object."""
        ...

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete the object, and in the background what it owns. Already gone is success."""
        ...

    def log(
        self,
        namespace: str,
        pod: str,
        *,
        container: str | None = None,
        follow: bool = False,
        lines: int | None = None,
        previous: bool = False,
    ) -> Iterator[str]:
        """Yield the lines of a container's log; with `follow` until it ends."""
        ...

    def proxy(
        self,
        namespace: str,
        service: str,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> Reply:
        """Send a request to a Service (`NAME:PORT`) through the API server; any status of its own is a reply.

        Raises:
            Unreachable: nobody answers there.
            Forbidden: you may not use the proxy.
        """
        ...

    def raw(self, path: str) -> Manifest:
        """Return what a path outside the resources answers, such as /version."""
        ...
