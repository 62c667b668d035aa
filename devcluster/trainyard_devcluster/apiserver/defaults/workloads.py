"""Defaults of deployments, jobs and their like."""

from trainyard_devcluster.apiserver.defaults.pods import default_template
from trainyard_devcluster.apiserver.values import Object


def _ensure(obj: Object, **defaults: object) -> Object:
    for name, value in defaults.items():
        if obj.get(name) is None:
            obj[name] = value
    return obj


def _template(obj: Object) -> Object:
    spec: Object = obj.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    return spec


def default_deployment(obj: Object) -> None:
    """Fill in a deployment."""
    spec = _ensure(_template(obj), replicas=1, progressDeadlineSeconds=600, revisionHistoryLimit=10)
    strategy = _ensure(spec.setdefault("strategy", {}), type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _ensure(strategy.setdefault("rollingUpdate", {}), maxSurge="25%", maxUnavailable="25%")


def default_replica_set(obj: Object) -> None:
    """Fill in a replica set."""
    spec = _ensure(_template(obj), replicas=1)
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def default_stateful_set(obj: Object) -> None:
    """Fill in a stateful set."""
    spec = _ensure(_template(obj), replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    strategy = _ensure(spec.setdefault("updateStrategy", {}), type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _ensure(strategy.setdefault("rollingUpdate", {}), partition=0)
    _ensure(spec.setdefault("persistentVolumeClaimRetentionPolicy", {}), whenDeleted="Retain", whenScaled="Retain")


def default_daemon_set(obj: Object) -> None:
    """Fill in a daemon set."""
    spec = _ensure(_template(obj), revisionHistoryLimit=10)
    strategy = _ensure(spec.setdefault("updateStrategy", {}), type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _ensure(strategy.setdefault("rollingUpdate", {}), maxSurge=0, maxUnavailable=1)


def default_job_spec(spec: Object) -> None:
    """Fill in the specification of a job, of its own or in a cron job's template."""
    default_template(spec.setdefault("template", {}))
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = spec["parallelism"] = 1
    _ensure(spec, parallelism=1, completionMode="NonIndexed", suspend=False, manualSelector=False)
    per_index = spec.get("backoffLimitPerIndex") is not None
    _ensure(spec, backoffLimit=2**31 - 1 if per_index else 6)
    policy = spec.get("podFailurePolicy")
    _ensure(spec, podReplacementPolicy="Failed" if policy else "TerminatingOrFailed")
    for rule in (policy or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            _ensure(pattern, status="True")


def default_job(obj: Object) -> None:
    """Fill in a job."""
    default_job_spec(obj.setdefault("spec", {}))
    labels = (obj["spec"]["template"].get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def default_cron_job(obj: Object) -> None:
    """Fill in a cron job."""
    spec = _ensure(
        obj.setdefault("spec", {}),
        concurrencyPolicy="Allow",
        suspend=False,
        successfulJobsHistoryLimit=3,
        failedJobsHistoryLimit=1,
    )
    job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
    default_template(job.setdefault("template", {}))


def default_autoscaler(obj: Object) -> None:
    """Fill in a horizontal pod autoscaler."""
    spec = _ensure(obj.setdefault("spec", {}), minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
