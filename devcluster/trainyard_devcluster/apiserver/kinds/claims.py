"""Claims of volumes: a finalizer holds one that is being deleted until no pod uses it."""

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.values import Object

PROTECTION = "kubernetes.io/pvc-protection"


def protect(cluster: Cluster, claim: Object, old: Object | None) -> None:
    """Give a new claim its finalizer, as Kubernetes' admission does. A controller takes it away."""
    metadata = claim["metadata"]
    if old is None and PROTECTION not in (metadata.get("finalizers") or ()):
        metadata["finalizers"] = [*(metadata.get("finalizers") or ()), PROTECTION]
