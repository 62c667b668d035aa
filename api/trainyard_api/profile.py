"""TrainingProfile: what a platform team decides once for all trainings and services of a cluster."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from trainyard_api.meta import NAME_RULE, ApiModel, Duration, Name, rules
from trainyard_api.pods import NodeSelector, Resources, SecretReference, Toleration

KIND, PLURAL, SINGULAR, SHORT = "TrainingProfile", "trainingprofiles", "trainingprofile", "tp"


def _image(what: str) -> Any:
    return Field(default=None, min_length=1, max_length=512, description=f"Image of {what}.")


class ProfileImages(ApiModel):
    """Images for resources that name none; those of the operator where absent."""

    trainer: str | None = _image("training pods without NVIDIA GPUs")
    trainer_gpu: str | None = _image("training pods with NVIDIA GPUs")
    serving: str | None = _image("serving pods without GPUs: a TensorFlow Serving image")
    serving_gpu: str | None = _image("serving pods with GPUs: a TensorFlow Serving image")


class PodDefaults(ApiModel):
    """What pods get where their own spec does not say otherwise."""

    node_selector: NodeSelector | None = Field(
        default=None, description="Labels a node must have, beside those of the spec."
    )
    tolerations: list[Toleration] | None = Field(
        default=None, max_length=50, description="Taints the pods accept, beside those of the spec."
    )
    image_pull_secrets: list[SecretReference] | None = Field(
        default=None,
        max_length=10,
        description="Secrets for private registries, beside those of the spec. Each namespace needs its own.",
    )
    priority_class_name: Name | None = Field(default=None, description="PriorityClass, where the spec names none.")
    runtime_class_name: Name | None = Field(default=None, description="RuntimeClass, where the spec names none.")
    scheduler_name: Name | None = Field(default=None, description="Scheduler, where the spec names none.")
    resources: Resources = Field(
        default=Resources(), description="Amounts of the trainer or the server, for resources that the spec leaves out."
    )


class ProfileLimits(ApiModel):
    """The most that a resource may ask for. Asked before a training starts, or a revision is brought up."""

    max_gpus: int | None = Field(
        default=None, ge=0, le=100_000, description="GPUs of all pods of a training together, or of one serving pod."
    )
    max_active_deadline: Duration | None = Field(
        default=None,
        description="Longest runPolicy.activeDeadline of a training, for example 48h. A training then has to set one.",
    )


class TrainingProfileSpec(ApiModel):
    """Defaults and limits."""

    default: bool = Field(
        default=False,
        description="Take this profile for resources that name none. Of several, the first by name is taken.",
    )
    images: ProfileImages = Field(default=ProfileImages(), description="Images for resources that name none.")
    pods: PodDefaults = Field(default=PodDefaults(), description="Defaults of all pods.")
    gpu_pods: PodDefaults = Field(
        default=PodDefaults(), description="Defaults of pods with GPUs; what is set here comes before pods."
    )
    limits: ProfileLimits = Field(default=ProfileLimits(), description="The most that may be asked for.")


class TrainingProfile(ApiModel):
    """What a platform team decides once: images, places, defaults and limits of trainings and services."""

    model_config = ConfigDict(json_schema_extra=rules(NAME_RULE))
    api_version: str = "trainyard.dev/v1alpha1"
    kind: Literal["TrainingProfile"] = "TrainingProfile"
    metadata: dict[str, Any]
    spec: TrainingProfileSpec

    @property
    def name(self) -> str:
        """The name by which resources choose it."""
        return str(self.metadata["name"])


class ProfileStatus(ApiModel):
    """The profile that pods were made by."""

    name: str = Field(description="Name of the TrainingProfile.")
    generation: int = Field(default=0, description="Its generation then; later changes touch nothing that runs.")
