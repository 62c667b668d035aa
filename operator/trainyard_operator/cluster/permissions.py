"""What the operator may do: the one list that manifests/rbac and the chart are made from.

A test compares it with the calls a whole life of each resource makes.
"""

from dataclasses import dataclass

from trainyard_api import modelservice, profile, trainingjob
from trainyard_api.meta import GROUP

_WATCH = ("get", "list", "watch")


@dataclass(frozen=True, slots=True)
class Permission:
    """Verbs on one resource, or subresource (`plural/sub`), of one API group.

    Attributes:
        of_cluster: The resource has no namespace. An operator that serves some namespaces only is not given it, and
            goes on without.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    of_cluster: bool = False


PAGE_PERMISSIONS = (
    Permission("authentication.k8s.io", "tokenreviews", ("create",), of_cluster=True),
    Permission("authorization.k8s.io", "subjectaccessreviews", ("create",), of_cluster=True),
)
"""What the page takes besides, where it is on. It lists events too."""

PERMISSIONS = (
    *(
        permission
        for plural in (trainingjob.PLURAL, modelservice.PLURAL)
        for permission in (
            Permission(GROUP, plural, _WATCH),
            Permission(GROUP, f"{plural}/status", ("patch",)),
            # Owner references with blockOwnerDeletion need it where OwnerReferencesPermissionEnforcement is on.
            Permission(GROUP, f"{plural}/finalizers", ("update",)),
        )
    ),
    # The one write of a number of replicas: what runs, when an autoscaler takes over.
    Permission(GROUP, f"{modelservice.PLURAL}/scale", ("patch",)),
    # What was made for a training that is over is deleted: a Job that other containers keep running, later the rest.
    Permission("batch", "jobs", (*_WATCH, "create", "patch", "delete")),
    Permission("apps", "deployments", (*_WATCH, "create", "patch", "delete")),
    Permission("", "services", (*_WATCH, "create", "patch", "delete")),
    Permission("", "configmaps", (*_WATCH, "create", "patch", "delete")),
    Permission("networking.k8s.io", "networkpolicies", (*_WATCH, "create", "patch", "delete")),
    Permission("autoscaling", "horizontalpodautoscalers", (*_WATCH, "create", "patch", "delete")),
    Permission("policy", "poddisruptionbudgets", (*_WATCH, "create", "patch", "delete")),
    # Of these kinds a cluster may have none.
    Permission("keda.sh", "scaledobjects", (*_WATCH, "create", "patch", "delete")),
    Permission("monitoring.coreos.com", "podmonitors", (*_WATCH, "create", "patch", "delete")),
    Permission("monitoring.coreos.com", "prometheusrules", (*_WATCH, "create", "patch", "delete")),
    Permission("gateway.networking.k8s.io", "httproutes", (*_WATCH, "create", "patch", "delete")),
    Permission("gateway.networking.k8s.io", "grpcroutes", (*_WATCH, "create", "patch", "delete")),
    Permission("", "pods", ("list", "watch")),
    # Programs of users' own may print their progress instead of serving it.
    Permission("", "pods/log", ("get",)),
    Permission("", "persistentvolumeclaims", _WATCH),
    # A Job says only in events why its pods are refused.
    Permission("", "events", ("list", "create", "patch")),
    # What a training needs is looked for before its pods wait for it.
    Permission("", "resourcequotas", ("list", "watch")),
    Permission("", "serviceaccounts", ("get",)),
    Permission("", "nodes", ("list",), of_cluster=True),
    Permission(GROUP, profile.PLURAL, ("list",), of_cluster=True),
    Permission("scheduling.k8s.io", "priorityclasses", ("list",), of_cluster=True),
    Permission("node.k8s.io", "runtimeclasses", ("list",), of_cluster=True),
)
"""What is granted in the namespaces that are served, or everywhere."""

ELECTION = (Permission("coordination.k8s.io", "leases", ("get", "create", "patch")),)
"""What is granted in the operator's own namespace, where several operators elect one."""
