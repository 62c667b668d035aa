"""The part of a pod that a resource may set; everything else is decided by the operator.

The parts of core/v1 in here are passed on to the pod as they are, so in memory they stay plain dicts; their schemas
only let the API server refuse a misspelt field at apply time.
"""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from trainyard_api.meta import (
    ANNOTATION_KEYS,
    CONFINEMENT_ANNOTATIONS,
    LABEL_KEYS,
    AnnotationKey,
    ApiModel,
    LabelKey,
    LabelValue,
    Name,
    Quantities,
    rule,
    rules,
)


def _field(description: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "string", "description": description} | keywords


EnvVar = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": _field("Name of the variable.", minLength=1, maxLength=256),
                "value": _field("Its value.", maxLength=65536),
                "valueFrom": {
                    "type": "object",
                    "additionalProperties": True,
                    "description": "Where its value comes from (core/v1 EnvVarSource).",
                },
            },
            "x-kubernetes-validations": [
                rule("!self.name.startsWith('TRAINYARD_')", "variables named TRAINYARD_* are set by the operator"),
                rule("!has(self.value) || !has(self.valueFrom)", "set value or valueFrom, not both"),
            ],
        }
    ),
]

Toleration = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "key": _field("Key of the taint; all keys where absent.", maxLength=317),
                "operator": _field("How value is compared.", enum=["Exists", "Equal"]),
                "value": _field("Value of the taint.", maxLength=63),
                "effect": _field(
                    "Effect of the taint; all effects where absent.",
                    enum=["NoSchedule", "PreferNoSchedule", "NoExecute"],
                ),
                "tolerationSeconds": {
                    "type": "integer",
                    "description": "Seconds a NoExecute taint is borne; forever where absent.",
                },
            },
        }
    ),
]

TopologySpreadConstraint = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
            "properties": {
                "maxSkew": {"type": "integer", "minimum": 1, "description": "How uneven the pods may be spread."},
                "topologyKey": _field("Label of nodes that tells the domains apart.", minLength=1, maxLength=317),
                "whenUnsatisfiable": _field("What to do otherwise.", enum=["DoNotSchedule", "ScheduleAnyway"]),
                "labelSelector": {
                    "type": "object",
                    "additionalProperties": True,
                    "description": "Which pods are counted (meta/v1 LabelSelector).",
                },
                "matchLabelKeys": {
                    "type": "array",
                    "maxItems": 16,
                    "items": {"type": "string", "maxLength": 317},
                    "description": "Labels whose values a counted pod must share.",
                },
                "minDomains": {"type": "integer", "minimum": 1, "description": "Fewest domains to spread over."},
                "nodeAffinityPolicy": _field("Whether node affinity counts.", enum=["Honor", "Ignore"]),
                "nodeTaintsPolicy": _field("Whether taints count.", enum=["Honor", "Ignore"]),
            },
        }
    ),
]

SecretReference = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["name"],
            "properties": {"name": _field("Name of the Secret.", minLength=1, maxLength=253)},
        }
    ),
]

ResourceClaim = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": _field("Name of the claim in the pod.", minLength=1, maxLength=63),
                "resourceClaimName": _field("A ResourceClaim that exists.", maxLength=253),
                "resourceClaimTemplateName": _field(
                    "A ResourceClaimTemplate, from which each pod gets a claim of its own.", maxLength=253
                ),
            },
            "x-kubernetes-validations": [
                rule(
                    "has(self.resourceClaimName) != has(self.resourceClaimTemplateName)",
                    "set exactly one of resourceClaimName and resourceClaimTemplateName",
                )
            ],
        }
    ),
]

PodLabels = Annotated[
    dict[LabelKey, LabelValue],
    Field(
        max_length=64,
        json_schema_extra=rules(
            rule(
                "self.all(key, !key.startsWith('trainyard.dev/'))",
                "labels under trainyard.dev/ are set by the operator",
            ),
            LABEL_KEYS,
        ),
    ),
]


PodAnnotations = Annotated[
    dict[AnnotationKey, Annotated[str, Field(max_length=65536)]],
    Field(max_length=64, json_schema_extra=rules(ANNOTATION_KEYS, CONFINEMENT_ANNOTATIONS)),
]
NodeSelector = Annotated[dict[LabelKey, LabelValue], Field(max_length=64, json_schema_extra=rules(LABEL_KEYS))]


# For whatever has `resources` and `gpuResource`. They are asked for first, because the API server holds the default of
# an object, `{}`, to its rules without filling in the defaults inside.
GPU_RULES = [
    rule(
        f"!has(self.resources) || !has(self.resources.{amounts}) || !(self.gpuResource in self.resources.{amounts})",
        f"set gpus instead of the GPU resource in resources.{amounts}",
        ".resources",
    )
    for amounts in ("requests", "limits")
]


class Resources(ApiModel):
    """Compute resources of a container, as in `core/v1 ResourceRequirements`."""

    requests: Quantities | None = Field(default=None, description="What the scheduler reserves.")
    limits: Quantities | None = Field(default=None, description="What the container may use at most.")


class PodTemplate(ApiModel):
    """The part of a pod template that clusters differ in."""

    labels: PodLabels | None = Field(default=None, description="Further labels of the pods.")
    annotations: PodAnnotations | None = Field(default=None, description="Further annotations of the pods.")
    node_selector: NodeSelector | None = Field(default=None, description="Labels a node must have.")
    tolerations: list[Toleration] | None = Field(
        default=None, max_length=50, description="Taints the pods accept (core/v1 Toleration)."
    )
    affinity: dict[str, Any] | None = Field(default=None, description="Scheduling constraints (core/v1 Affinity).")
    topology_spread_constraints: list[TopologySpreadConstraint] | None = Field(
        default=None,
        max_length=16,
        description="How to spread the pods (core/v1 TopologySpreadConstraint). Absent: servers are spread over nodes "
        "and zones where that is possible. An empty list spreads nothing.",
    )
    priority_class_name: Name | None = Field(default=None, description="PriorityClass of the pods.")
    runtime_class_name: Name | None = Field(default=None, description="RuntimeClass of the pods, for example nvidia.")
    scheduler_name: Name | None = Field(
        default=None, description="Scheduler of the pods, for example volcano; that of the cluster where absent."
    )
    resource_claims: list[ResourceClaim] | None = Field(
        default=None,
        max_length=16,
        description="Devices by dynamic resource allocation (core/v1 PodResourceClaim). The container gets all of "
        "them, and with them a training gets the image with CUDA.",
    )
    service_account_name: Name | None = Field(
        default=None,
        description="ServiceAccount of the pods, for stores that know a workload by it. Its token is not mounted.",
    )
    image_pull_secrets: list[SecretReference] | None = Field(
        default=None, max_length=10, description="Secrets for private registries (core/v1 LocalObjectReference)."
    )
    env: list[EnvVar] | None = Field(
        default=None, max_length=100, description="Further environment variables of the container (core/v1 EnvVar)."
    )
