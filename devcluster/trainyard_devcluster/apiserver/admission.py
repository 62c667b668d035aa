"""What stands between a valid request and the store: namespaces that must exist, and defaults from other objects."""

from trainyard_devcluster.apiserver import errors
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.resource import Resource
from trainyard_devcluster.apiserver.values import Object


def admit(cluster: Cluster, resource: Resource, obj: Object) -> None:
    """Judge, and complete in place, a new object.

    Raises:
        ApiError: 404, its namespace does not exist; 403, the namespace is being deleted, or it names an account or a
            class that does not exist.
    """
    if resource.namespaced:
        _admit_to_namespace(cluster, resource, obj)
    if resource.kind == "Pod" and not resource.group:
        _check_account(cluster, obj)
        _set_priority(cluster, obj)


def _admit_to_namespace(cluster: Cluster, resource: Resource, obj: Object) -> None:
    namespace = obj["metadata"]["namespace"]
    found = cluster.store.get("namespaces", ("", namespace))
    if found is None:
        raise errors.not_found("namespaces", "", namespace)
    if found.obj["metadata"].get("deletionTimestamp"):
        name = obj["metadata"].get("name", "")
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        error = errors.forbidden(resource.plural, resource.group, name, why)
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {namespace} is being terminated",
            "field": "metadata.namespace",
        }
        error.details = (error.details or {}) | {"causes": [cause]}
        raise error


def _check_account(cluster: Cluster, pod: Object) -> None:
    namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
    if cluster.store.get("serviceaccounts", (namespace, account)) is None:
        why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        raise errors.forbidden("pods", "", pod["metadata"].get("name", ""), why)


def _set_priority(cluster: Cluster, pod: Object) -> None:
    spec = pod["spec"]
    name = spec.get("priorityClassName")
    classes = {each["metadata"]["name"]: each for each in cluster.store.objects("priorityclasses.scheduling.k8s.io")}
    if not name:
        chosen = next((each for each in classes.values() if each.get("globalDefault")), None)
    elif name in classes:
        chosen = classes[name]
    else:
        why = f"no PriorityClass with name {name} was found"
        raise errors.forbidden("pods", "", pod["metadata"].get("name", ""), why)
    if chosen:
        spec["priorityClassName"] = chosen["metadata"]["name"]
    spec["priority"] = chosen["value"] if chosen else 0
    spec["preemptionPolicy"] = (chosen or {}).get("preemptionPolicy", "PreemptLowerPriority")
