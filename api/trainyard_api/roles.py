"""The groups of pods of a training, and where they run."""

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from trainyard_api.meta import ApiModel, LabelKey, LabelValue, ResourceName, rule, rules
from trainyard_api.pods import GPU_RULES, PodTemplate, Resources

_SIZE = "^[1-9][0-9]{0,11}(Ki|Mi|Gi|Ti|k|M|G|T)?$"
_SIZE_FORM = "write a size in bytes, or one such as 512Mi or 8Gi"


def _size(text: str) -> str:
    if re.fullmatch(_SIZE, text) is None:
        raise ValueError(_SIZE_FORM)
    return text


MemorySize = Annotated[
    str,
    Field(max_length=16, json_schema_extra=rules(rule(f"self.matches('{_SIZE}')", _SIZE_FORM))),
    AfterValidator(_size),
]


class Worker(ApiModel):
    """The pods that train."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *GPU_RULES,
            rule(
                "!has(self.gpuProduct) || (self.gpus > 0 && self.gpuResource.startsWith('nvidia.com/'))",
                "gpuProduct chooses among NVIDIA GPUs: set gpus, and for other vendors template.nodeSelector instead",
                ".gpuProduct",
            ),
        )
    )
    replicas: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Number of pods that train one model together. All mount the claims of data and store: these must "
        "be ReadWriteMany, or all pods run on one node.",
    )
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs of each pod.")
    gpu_resource: ResourceName = Field(
        default="nvidia.com/gpu", description="Name of the extended resource that counts as a GPU."
    )
    gpu_product: LabelValue | None = Field(
        default=None,
        min_length=1,
        description="Model of the GPUs, as nodes have it in the label nvidia.com/gpu.product, for example "
        "NVIDIA-A100-SXM4-80GB.",
    )
    topology_key: Annotated[LabelKey, Field(max_length=317)] | None = Field(
        default=None,
        min_length=1,
        description="Label of nodes whose value the pods share where they can, so that they are close together: for "
        "example topology.kubernetes.io/zone. A wish; template.affinity can demand it.",
    )
    shared_memory: MemorySize | None = Field(
        default=None,
        description="Most size of /dev/shm, by which GPUs exchange gradients, for example 8Gi. It counts as memory of "
        "the pod. Pods with GPUs and several pods have it, up to their memory limit, also where this is absent.",
    )
    image: str | None = Field(
        default=None, min_length=1, max_length=512, description="Overrides the operator's trainer image."
    )
    resources: Resources = Field(default=Resources(), description="Resources of each pod, without its GPUs.")
    template: PodTemplate = Field(default=PodTemplate(), description="What else to set on the pods.")


class Roles(ApiModel):
    """The groups of pods of a training."""

    worker: Worker = Field(default=Worker(), description="The pods that train.")
