"""What both resources share: names, the base model, conditions and Kubernetes' little formats."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "trainyard.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

DURATION_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


class ApiModel(BaseModel):
    """Base of every API type: camelCase on the wire, immutable in memory.

    Unknown fields are ignored, so that an operator older than the CRD keeps working; the API server rejects or prunes
    them, and the trainer's command line forbids them.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form: camelCase keys, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rule(expression: str, message: str, field_path: str | None = None) -> dict[str, str]:
    """Return one CEL rule in the form of `x-kubernetes-validations`."""
    return {"rule": expression, "message": message} | ({"fieldPath": field_path} if field_path else {})


def rules(*each: dict[str, str]) -> dict[str, Any]:
    """Return the `json_schema_extra` that attaches CEL rules to a model."""
    return {"x-kubernetes-validations": list(each)}


def parse_duration(text: str) -> int:
    """Return the seconds in a duration such as `90s`, `15m` or `1h30m`.

    Raises:
        ValueError: the text is not a duration of that form, or is empty.
    """
    match = _DURATION.match(text)
    if not text or match is None:
        raise ValueError(f"expected a duration such as 90s, 15m or 1h30m, got {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


Duration = Annotated[str, Field(pattern=DURATION_PATTERN, min_length=2, max_length=32)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
Label = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=50)]
Quantities = dict[str, int | str]


class Condition(ApiModel):
    """One observation about a resource, as in `metav1.Condition`."""

    type: str = Field(description="What is observed, for example Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, as one CamelCase word that programs may compare.")
    message: str = Field(default="", description="Why, for a person, with what to change.")
    last_transition_time: str = Field(description="When the status last changed (RFC 3339).")
    observed_generation: int = Field(default=0, description="The generation of the spec this was observed of.")


class Resources(ApiModel):
    """Compute resources of a container, as in `core/v1 ResourceRequirements`."""

    requests: Quantities | None = Field(default=None, description="What the scheduler reserves.")
    limits: Quantities | None = Field(default=None, description="What the container may use at most.")


class PodTemplate(ApiModel):
    """The part of a pod template that clusters differ in; everything else is decided by the operator."""

    labels: dict[str, str] | None = Field(default=None, description="Further labels of the pods.")
    annotations: dict[str, str] | None = Field(default=None, description="Further annotations of the pods.")
    node_selector: dict[str, str] | None = Field(default=None, description="Labels a node must have.")
    tolerations: list[dict[str, Any]] | None = Field(
        default=None, max_length=50, description="Taints the pods accept (core/v1 Toleration)."
    )
    affinity: dict[str, Any] | None = Field(default=None, description="Scheduling constraints (core/v1 Affinity).")
    priority_class_name: Name | None = Field(default=None, description="PriorityClass of the pods.")
    runtime_class_name: Name | None = Field(default=None, description="RuntimeClass of the pods, for example nvidia.")
    image_pull_secrets: list[dict[str, Any]] | None = Field(
        default=None, max_length=10, description="Secrets for private registries (core/v1 LocalObjectReference)."
    )
    env: list[dict[str, Any]] | None = Field(
        default=None, max_length=100, description="Further environment variables of the container (core/v1 EnvVar)."
    )
