"""Rules on deployments, jobs and their like."""

import re
from collections.abc import Iterator

from trainyard_devcluster.apiserver.errors import (
    FieldError,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from trainyard_devcluster.apiserver.kinds.jobs import UID_LABEL
from trainyard_devcluster.apiserver.validation.common import IMMUTABLE, not_negative, selects_template, unchanged
from trainyard_devcluster.apiserver.validation.pods import validate_template
from trainyard_devcluster.apiserver.values import Json, Object, dig


def validate_replicated(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a deployment, replica set, stateful set or daemon set."""
    spec = obj["spec"]
    yield from not_negative(spec.get("replicas"), "spec.replicas")
    yield from selects_template(spec)
    yield from validate_template(spec["template"], "spec.template")
    policy = dig(spec, "template", "spec", "restartPolicy")
    if policy != "Always":
        yield not_supported("spec.template.spec.restartPolicy", policy, ["Always"])


def validate_deployment(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a deployment."""
    yield from validate_replicated(obj)
    spec = obj["spec"]
    strategy = spec.get("strategy") or {}
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind not in ("Recreate", "RollingUpdate"):
        yield not_supported("spec.strategy.type", kind, ["Recreate", "RollingUpdate"])
    elif kind == "Recreate" and rolling is not None:
        yield forbidden_field("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif rolling is not None:
        yield from _validate_rolling(rolling)
    progress, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    yield from not_negative(ready, "spec.minReadySeconds")
    if progress is not None and progress <= ready:
        yield invalid_value("spec.progressDeadlineSeconds", progress, "must be greater than minReadySeconds")


def _validate_rolling(rolling: Object) -> Iterator[FieldError]:
    for field in ("maxSurge", "maxUnavailable"):
        yield from int_or_percent(rolling.get(field), f"spec.strategy.rollingUpdate.{field}")
    if rolling.get("maxSurge") in (0, "0%") and rolling.get("maxUnavailable") in (0, "0%"):
        detail = "may not be 0 when `maxSurge` is 0"
        yield invalid_value("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"], detail)


def int_or_percent(value: Json, path: str) -> Iterator[FieldError]:
    """Yield an error where a value is neither a count nor a percentage."""
    if isinstance(value, str) and not re.fullmatch(r"\d+%", value):
        detail = (
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
            "regex used for validation is '[0-9]+%')"
        )
        yield invalid_value(path, value, detail)
    yield from not_negative(value, path)


def fixed_selector(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield a change of a workload's selector."""
    yield from unchanged(dig(new, "spec", "selector"), dig(old, "spec", "selector"), "spec.selector")


def stateful_set_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes that a stateful set does not allow."""
    mutable = {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds",
               "persistentVolumeClaimRetentionPolicy"}  # fmt: skip
    fixed = [{key: value for key, value in each["spec"].items() if key not in mutable} for each in (new, old)]
    if fixed[0] != fixed[1]:
        listed = (
            "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'"
        )
        yield forbidden_field("spec", f"updates to statefulset spec for fields other than {listed} are forbidden")


def validate_job(job: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a job."""
    spec = job["spec"]
    for field in (
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ):
        yield from not_negative(spec.get(field), f"spec.{field}")
    yield from validate_template(spec["template"], "spec.template")
    policy = dig(spec, "template", "spec", "restartPolicy")
    if policy == "Always":
        yield required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported("spec.template.spec.restartPolicy", policy, ["OnFailure", "Never"])
    mode = spec.get("completionMode")
    if mode not in ("Indexed", "NonIndexed"):
        yield not_supported("spec.completionMode", mode, ["Indexed", "NonIndexed"])
    yield from _validate_indexed(spec, job["metadata"].get("name", ""))
    if spec.get("podFailurePolicy") is not None:
        yield from _validate_failure_policy(spec)


def _validate_indexed(spec: Object, name: str) -> Iterator[FieldError]:
    indexed = spec.get("completionMode") == "Indexed"
    completions = spec.get("completions")
    if indexed and completions is None:
        yield required("spec.completions", "when completion mode is Indexed")
    if indexed and completions:
        host = f"{name}-{completions - 1}"
        if len(host) > 63:
            yield invalid_value(
                "spec.completions", completions, "the resulting pod hostname must be no more than 63 characters"
            )
    for field in ("backoffLimitPerIndex",):
        if spec.get(field) is not None and not indexed:
            yield invalid_value(f"spec.{field}", spec[field], "requires indexed completion mode")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified")


_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")


def _validate_failure_policy(spec: Object) -> Iterator[FieldError]:
    if dig(spec, "template", "spec", "restartPolicy") != "Never":
        policy = dig(spec, "template", "spec", "restartPolicy")
        yield invalid_value(
            "spec.template.spec.restartPolicy", policy, 'only "Never" is supported when podFailurePolicy is specified'
        )
    names = {
        each.get("name")
        for field in ("containers", "initContainers")
        for each in dig(spec, "template", "spec", field) or ()
    }
    for index, rule in enumerate(spec["podFailurePolicy"].get("rules") or ()):
        path = f"spec.podFailurePolicy.rules[{index}]"
        if rule.get("action") not in _ACTIONS:
            yield not_supported(f"{path}.action", rule.get("action"), _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if bool(codes) == bool(conditions):
            yield invalid_value(
                path,
                "",
                "specifying one of OnExitCodes and OnPodConditions is required"
                if not codes
                else "specifying both OnExitCodes and OnPodConditions is not supported",
            )
        if codes:
            if codes.get("containerName") and codes["containerName"] not in names:
                yield invalid_value(
                    f"{path}.onExitCodes.containerName",
                    codes["containerName"],
                    "must be one of the container or initContainer names in the pod template",
                )
            if codes.get("operator") == "In" and 0 in (codes.get("values") or ()):
                at = codes["values"].index(0)
                yield invalid_value(f"{path}.onExitCodes.values[{at}]", 0, "must not be 0 for the In operator")


def job_update(new: Object, old: Object) -> Iterator[FieldError]:
    """Yield the changes that a job does not allow."""
    after, before = new["spec"], old["spec"]
    if after.get("completionMode") != "Indexed" or after.get("completions") != after.get("parallelism"):
        yield from unchanged(after.get("completions"), before.get("completions"), "spec.completions")
    for field in (
        "completionMode",
        "selector",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        yield from unchanged(after.get(field), before.get(field), f"spec.{field}")
    if _template(after, before, old) != _template(before, before, old):
        # The real server prints the whole template in Go's notation; the path and the reason are what people read.
        yield invalid_value("spec.template", after["template"], IMMUTABLE)


_SCHEDULING = ("nodeSelector", "tolerations", "affinity", "schedulingGates")


def _template(spec: Object, before: Object, job: Object) -> Object:
    """Return the template without what may change: where its pods go, as long as a suspended job never started."""
    template: Object = spec["template"]
    if not before.get("suspend") or dig(job, "status", "startTime"):
        return template
    pod = {key: value for key, value in (template.get("spec") or {}).items() if key not in _SCHEDULING}
    return {"spec": pod}


def job_has_generated_labels(job: Object) -> bool:
    """Return whether the server has already given a job its selector."""
    return UID_LABEL in (dig(job, "spec", "selector", "matchLabels") or {})


def validate_cron_job(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a cron job."""
    schedule = obj["spec"].get("schedule", "")
    if not schedule:
        yield required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        yield invalid_value(
            "spec.schedule", schedule, f"expected exactly 5 fields, found {len(schedule.split())}: [{schedule}]"
        )


def validate_autoscaler(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a horizontal pod autoscaler."""
    spec = obj["spec"]
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield invalid_value("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield invalid_value("spec.maxReplicas", most, "must be greater than 0")
    elif most < least:
        yield invalid_value("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    for field in ("kind", "name"):
        if not dig(spec, "scaleTargetRef", field):
            yield required(f"spec.scaleTargetRef.{field}")


def validate_disruption_budget(obj: Object) -> Iterator[FieldError]:
    """Yield what is wrong with a pod disruption budget."""
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        detail = "minAvailable and maxUnavailable cannot be both set"
        yield invalid_value("spec", spec, detail)
    for field in ("minAvailable", "maxUnavailable"):
        yield from int_or_percent(spec.get(field), f"spec.{field}")
