"""The table of built-in resources."""

from dataclasses import replace
from typing import Any

from trainyard_devcluster.apiserver import definitions
from trainyard_devcluster.apiserver.defaults import core as core_defaults
from trainyard_devcluster.apiserver.defaults import pods as pod_defaults
from trainyard_devcluster.apiserver.defaults import workloads as workload_defaults
from trainyard_devcluster.apiserver.endpoints import metrics
from trainyard_devcluster.apiserver.kinds import claims, events, jobs, namespaces, pods, services
from trainyard_devcluster.apiserver.resource import Behaviour, Resource, Scale, Subresource
from trainyard_devcluster.apiserver.schema import builtin as schemas
from trainyard_devcluster.apiserver.tables import cluster as tables
from trainyard_devcluster.apiserver.tables import workloads as workload_tables
from trainyard_devcluster.apiserver.tables.column import Column
from trainyard_devcluster.apiserver.validation import core as core_rules
from trainyard_devcluster.apiserver.validation import pods as pod_rules
from trainyard_devcluster.apiserver.validation import workloads as workload_rules

_API = "io.k8s.api."
_PROXY = Subresource("proxy", "ServiceProxyOptions", ("create", "delete", "get", "patch", "update"))


def _resource(
    package: str,
    kind: str,
    plural: str,
    *short_names: str,
    group: str = "",
    version: str = "v1",
    columns: tuple[Column, ...] = (),
    behaviour: Behaviour | None = None,
    fields: tuple[str, ...] = (),
    **more: Any,
) -> Resource:
    """One row. `package` is where the published definitions have the kind."""
    made = Resource(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        list_kind=f"{kind}List",
        short_names=short_names,
        schema=schemas.definition(f"{package}.{version}.{kind}"),
        columns=columns,
        behaviour=behaviour or Behaviour(),
        fields=frozenset(fields),
    )
    return replace(made, **more)


def _core(kind: str, plural: str, *short_names: str, **more: Any) -> Resource:
    return _resource(f"{_API}core", kind, plural, *short_names, **more)


def _apps(kind: str, plural: str, short: str, **more: Any) -> Resource:
    return _resource(
        f"{_API}apps", kind, plural, short, group="apps", status=True, generation=True, categories=("all",), **more
    )


def _rbac(kind: str, plural: str, **more: Any) -> Resource:
    return _resource(f"{_API}rbac", kind, plural, group="rbac.authorization.k8s.io", **more)


def _review(package: str, kind: str, plural: str, *, namespaced: bool = False) -> Resource:
    group = f"{package}.k8s.io"
    return _resource(f"{_API}{package}", kind, plural, group=group, namespaced=namespaced, verbs=("create",))


_EVENT_FIELDS = (
    "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
    "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
    "reason", "reportingComponent", "source", "type",
)  # fmt: skip
_POD_FIELDS = (
    "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
    "status.phase", "status.podIP", "status.nominatedNodeName",
)  # fmt: skip
_EVENTS = Behaviour(default=events.default_event, validate=core_rules.validate_event)


def builtin_resources() -> tuple[Resource, ...]:
    """Return every built-in resource."""
    return (*_core_resources(), *_workloads(), *_infrastructure(), *_policies(), *_metrics())


def _core_resources() -> tuple[Resource, ...]:
    return (
        _core("ConfigMap", "configmaps", "cm", columns=tables.CONFIG_MAPS,
              behaviour=Behaviour(validate=core_rules.validate_config_map,
                                  validate_update=core_rules.immutable_when_marked)),
        _core("Endpoints", "endpoints", "ep", columns=tables.ENDPOINTS),
        _core("Event", "events", "ev", columns=tables.EVENTS, fields=_EVENT_FIELDS, behaviour=_EVENTS),
        _core("LimitRange", "limitranges", "limits"),
        _core("Namespace", "namespaces", "ns", namespaced=False, status=True, columns=tables.NAMESPACES,
              fields=("status.phase",), returns_deleted=True,
              verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
              subresources=(Subresource("finalize", "Namespace", ("update",)),),
              behaviour=Behaviour(default=core_defaults.default_namespace, prepare=namespaces.begin)),
        _core("Node", "nodes", "no", namespaced=False, status=True, columns=tables.NODES,
              fields=("spec.unschedulable",),
              behaviour=Behaviour(default=core_defaults.default_node, keeps_status=True)),
        _core("PersistentVolumeClaim", "persistentvolumeclaims", "pvc", status=True, columns=tables.VOLUME_CLAIMS,
              returns_deleted=True,
              behaviour=Behaviour(default=core_defaults.default_claim, prepare=claims.protect,
                                  validate=core_rules.validate_claim, validate_update=core_rules.claim_update)),
        _core("PersistentVolume", "persistentvolumes", "pv", namespaced=False, status=True, columns=tables.VOLUMES,
              returns_deleted=True,
              behaviour=Behaviour(default=core_defaults.default_volume, validate=core_rules.validate_volume)),
        _core("Pod", "pods", "po", status=True, generation=True, categories=("all",),
              columns=workload_tables.PODS, fields=_POD_FIELDS, returns_deleted=True,
              subresources=(
                  Subresource("binding", "Binding", ("create",)),
                  Subresource("eviction", "Eviction", ("create",), "policy/v1"),
                  Subresource("log", "Pod", ("get",)),
              ),
              behaviour=Behaviour(default=pod_defaults.default_pod, prepare=pods.begin,
                                  validate=pod_rules.validate_pod,
                                  validate_update=pod_rules.validate_pod_update, grace=pods.grace)),
        _core("ReplicationController", "replicationcontrollers", "rc", status=True, generation=True,
              categories=("all",)),
        _core("ResourceQuota", "resourcequotas", "quota", status=True, returns_deleted=True,
              behaviour=Behaviour(default=core_defaults.default_quota)),
        _core("Secret", "secrets", columns=tables.SECRETS, fields=("type",),
              behaviour=Behaviour(default=core_defaults.default_secret, validate=core_rules.validate_secret,
                                  validate_update=core_rules.secret_update)),
        _core("ServiceAccount", "serviceaccounts", "sa", columns=tables.SERVICE_ACCOUNTS, returns_deleted=True,
              subresources=(Subresource("token", "TokenRequest", ("create",), "authentication.k8s.io/v1"),)),
        _core("Service", "services", "svc", status=True,
              subresources=(_PROXY,), categories=("all",), columns=tables.SERVICES,
              fields=("spec.clusterIP", "spec.type"), returns_deleted=True,
              behaviour=Behaviour(default=core_defaults.default_service, prepare=services.allocate,
                                  validate=core_rules.validate_service,
                                  validate_update=core_rules.service_update)),
    )  # fmt: skip


def _workloads() -> tuple[Resource, ...]:
    scale = Scale()
    return (
        _apps("Deployment", "deployments", "deploy", scale=scale, columns=workload_tables.DEPLOYMENTS,
              behaviour=Behaviour(default=workload_defaults.default_deployment,
                                  validate=workload_rules.validate_deployment,
                                  validate_update=workload_rules.fixed_selector)),
        _apps("ReplicaSet", "replicasets", "rs", scale=scale, columns=workload_tables.REPLICA_SETS,
              fields=("status.replicas",),
              behaviour=Behaviour(default=workload_defaults.default_replica_set,
                                  validate=workload_rules.validate_replicated,
                                  validate_update=workload_rules.fixed_selector)),
        _apps("StatefulSet", "statefulsets", "sts", scale=scale, columns=workload_tables.STATEFUL_SETS,
              behaviour=Behaviour(default=workload_defaults.default_stateful_set,
                                  validate=workload_rules.validate_replicated,
                                  validate_update=workload_rules.stateful_set_update)),
        _apps("DaemonSet", "daemonsets", "ds", columns=workload_tables.DAEMON_SETS,
              behaviour=Behaviour(default=workload_defaults.default_daemon_set,
                                  validate=workload_rules.validate_replicated,
                                  validate_update=workload_rules.fixed_selector)),
        _resource(f"{_API}batch", "Job", "jobs", group="batch", status=True, generation=True, categories=("all",),
                  columns=workload_tables.JOBS, fields=("status.successful",),
                  behaviour=Behaviour(default=workload_defaults.default_job, prepare=jobs.generate_selector,
                                      validate=workload_rules.validate_job,
                                      validate_update=workload_rules.job_update)),
        _resource(f"{_API}batch", "CronJob", "cronjobs", "cj", group="batch", status=True, generation=True,
                  categories=("all",), columns=workload_tables.CRON_JOBS,
                  behaviour=Behaviour(default=workload_defaults.default_cron_job,
                                      validate=workload_rules.validate_cron_job)),
        _resource(f"{_API}autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa",
                  group="autoscaling", version="v2", status=True, categories=("all",),
                  columns=workload_tables.AUTOSCALERS,
                  behaviour=Behaviour(default=workload_defaults.default_autoscaler,
                                      validate=workload_rules.validate_autoscaler)),
        _resource(f"{_API}policy", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", group="policy",
                  status=True, generation=True, columns=workload_tables.DISRUPTION_BUDGETS,
                  behaviour=Behaviour(validate=workload_rules.validate_disruption_budget)),
    )  # fmt: skip


def _infrastructure() -> tuple[Resource, ...]:
    event = _resource(
        f"{_API}events", "Event", "events", "ev", group="events.k8s.io", table="events", columns=tables.EVENTS,
        behaviour=_EVENTS, convert=events.to_new, convert_back=events.to_old,
        fields=("regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type",
                "reportingController"),
    )  # fmt: skip
    return (
        event,
        _resource(f"{_API}coordination", "Lease", "leases", group="coordination.k8s.io", columns=tables.LEASES),
        _resource(f"{_API}discovery", "EndpointSlice", "endpointslices", group="discovery.k8s.io", generation=True,
                  columns=tables.ENDPOINT_SLICES),
        _resource(f"{_API}storage", "StorageClass", "storageclasses", "sc", group="storage.k8s.io", namespaced=False,
                  columns=tables.STORAGE_CLASSES,
                  behaviour=Behaviour(default=core_defaults.default_storage_class,
                                      validate_update=core_rules.storage_class_update)),
        _resource(f"{_API}scheduling", "PriorityClass", "priorityclasses", "pc", group="scheduling.k8s.io",
                  namespaced=False, generation=True, columns=tables.PRIORITY_CLASSES,
                  behaviour=Behaviour(default=core_defaults.default_priority_class)),
        _resource(f"{_API}networking", "NetworkPolicy", "networkpolicies", "netpol", group="networking.k8s.io",
                  generation=True, columns=tables.NETWORK_POLICIES,
                  behaviour=Behaviour(default=core_defaults.default_network_policy)),
        _resource(f"{_API}networking", "Ingress", "ingresses", "ing", group="networking.k8s.io", status=True,
                  generation=True, columns=tables.INGRESSES,
                  behaviour=Behaviour(default=core_defaults.default_ingress)),
        _resource("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions", "CustomResourceDefinition",
                  "customresourcedefinitions", "crd", "crds", group="apiextensions.k8s.io", namespaced=False,
                  status=True, generation=True, categories=("api-extensions",), columns=tables.DEFINITIONS,
                  behaviour=definitions.BEHAVIOUR),
    )  # fmt: skip


def _metrics() -> tuple[Resource, ...]:
    """What a cluster with a metrics server and an adapter for Prometheus metrics has besides."""
    return tuple(
        Resource(
            group=group,
            version=version,
            kind=kind,
            plural=plural,
            list_kind=f"{kind}List",
            schema=definitions.custom_schema({"x-kubernetes-preserve-unknown-fields": True}),
            namespaced=namespaced,
            verbs=("get", "list"),
            custom={"metadata": {"name": f"{plural}.{group}"}},
        )
        for group, version, kind, plural, namespaced in (
            (metrics.RESOURCE_GROUP, "v1beta1", "NodeMetrics", "nodes", False),
            (metrics.RESOURCE_GROUP, "v1beta1", "PodMetrics", "pods", True),
            (metrics.CUSTOM_GROUP, "v1beta2", "MetricValue", "pods", True),
        )
    )


def _policies() -> tuple[Resource, ...]:
    binding = Behaviour(default=core_defaults.default_binding, validate_update=core_rules.binding_update)
    return (
        _rbac("ClusterRole", "clusterroles", namespaced=False, columns=tables.ROLES),
        _rbac("ClusterRoleBinding", "clusterrolebindings", namespaced=False, columns=tables.ROLE_BINDINGS,
              behaviour=binding),
        _rbac("Role", "roles", columns=tables.ROLES),
        _rbac("RoleBinding", "rolebindings", columns=tables.ROLE_BINDINGS, behaviour=binding),
        _review("authentication", "TokenReview", "tokenreviews"),
        _review("authentication", "SelfSubjectReview", "selfsubjectreviews"),
        _review("authorization", "SubjectAccessReview", "subjectaccessreviews"),
        _review("authorization", "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
        _review("authorization", "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
        _review("authorization", "LocalSubjectAccessReview", "localsubjectaccessreviews", namespaced=True),
    )  # fmt: skip
