"""The life of namespaces: the `kubernetes` finalizer holds one until its content is gone."""

from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.values import Object


def begin(cluster: Cluster, namespace: Object, old: Object | None) -> None:
    """Give a new namespace its finalizer; it can lose it through the finalize subresource alone."""
    if old is None:
        namespace["spec"] = {"finalizers": ["kubernetes"]}
        namespace["status"] = {"phase": "Active"}
    else:
        namespace["spec"] = old.get("spec") or {}
