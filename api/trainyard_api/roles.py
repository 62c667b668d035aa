"""The groups of pods of a training, and where they run."""

import re
from typing import Annotated, Any, Literal

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


_OWN_GPUS = "GPUs of {} for program.container, of worker.gpuResource: that of Trainyard's trainer uses none."


class Chief(ApiModel):
    """The pod that hands out the steps to workers, and validates, saves and exports."""

    gpus: int = Field(default=0, ge=0, le=64, description=_OWN_GPUS.format("the pod"))
    image: str | None = Field(
        default=None, min_length=1, max_length=512, description="Overrides the operator's trainer image."
    )
    resources: Resources = Field(default=Resources(), description="Resources of the pod.")
    template: PodTemplate = Field(default=PodTemplate(), description="What else to set on the pod.")


class ParameterServer(ApiModel):
    """The pods that hold the weights."""

    replicas: int = Field(default=1, ge=1, le=64, description="Number of pods that share the weights.")
    gpus: int = Field(default=0, ge=0, le=64, description=_OWN_GPUS.format("each pod"))
    image: str | None = Field(
        default=None, min_length=1, max_length=512, description="Overrides the operator's trainer image."
    )
    resources: Resources = Field(default=Resources(), description="Resources of each pod.")
    template: PodTemplate = Field(default=PodTemplate(), description="What else to set on the pods.")


RoleName = Literal["worker", "chief", "ps"]
Strategy = Literal["Auto", "Single", "Mirrored", "MultiWorkerMirrored", "ParameterServer"]
ResolvedStrategy = Literal["Single", "Mirrored", "MultiWorkerMirrored", "ParameterServer"]


class Roles(ApiModel):
    """The groups of pods of a training."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.chief) || has(self.ps)",
                "a chief of its own goes with parameter servers: set ps too, or leave chief out, and worker 0 is the "
                "chief",
                ".chief",
            ),
            rule(
                "!has(self.evaluator)",
                "TensorFlow 2 has no evaluator in a cluster: remove roles.evaluator. The chief validates on "
                "data.validation after each epoch; to judge finished versions set spec.gate of a ModelService",
                ".evaluator",
            ),
            *(
                rule(
                    f"!has(self.{role}) || !has(self.{role}.resources) || !has(self.{role}.resources.{amounts}) || "
                    f"!has(self.worker.gpuResource) || !(self.worker.gpuResource in self.{role}.resources.{amounts})",
                    f"set {role}.gpus instead of the GPU resource in resources.{amounts}",
                    f".{role}",
                )
                for role in ("chief", "ps")
                for amounts in ("requests", "limits")
            ),
        )
    )
    worker: Worker = Field(default=Worker(), description="The pods that train.")
    chief: Chief | None = Field(
        default=None, description="The pod that leads a training with parameter servers; it always has one."
    )
    ps: ParameterServer | None = Field(
        default=None, description="Parameter servers; with them workers train without waiting for each other."
    )
    evaluator: dict[str, Any] | None = Field(
        default=None, description="Refused: TensorFlow 2 has no such role. The chief validates after each epoch."
    )

    @property
    def lead(self) -> RoleName:
        """The role whose pod 0 saves, reports and exports, and whose end is the end of an attempt."""
        return "chief" if self.ps is not None else "worker"

    @property
    def followers(self) -> tuple[RoleName, ...]:
        """The other roles, in the order in which they are started."""
        return ("ps", "worker") if self.ps is not None else ()

    @property
    def are_several(self) -> bool:
        """Whether more than one pod trains one model."""
        return self.ps is not None or self.worker.replicas > 1

    def of(self, role: RoleName) -> Worker:
        """Return the pods of a role."""
        if role == "worker":
            return self.worker
        pods = (self.chief or Chief()) if role == "chief" else (self.ps or ParameterServer())
        count = pods.replicas if isinstance(pods, ParameterServer) else 1
        return Worker(
            replicas=count,
            gpus=pods.gpus,
            gpu_resource=self.worker.gpu_resource,
            image=pods.image,
            resources=pods.resources,
            template=pods.template,
        )

    @property
    def gpus(self) -> int:
        """The GPUs of all pods together."""
        pods = (self.of(role) for role in (self.lead, *self.followers))
        return sum(each.replicas * each.gpus for each in pods)

    def strategy(self) -> ResolvedStrategy:
        """Return the strategy of TensorFlow's that these roles make."""
        if self.ps is not None:
            return "ParameterServer"
        if self.worker.replicas > 1:
            return "MultiWorkerMirrored"
        return "Mirrored" if self.worker.gpus > 1 else "Single"


_R = "self.roles"
STRATEGY_RULES = [
    rule(
        f"!has(self.strategy) || self.strategy in ['Auto', 'ParameterServer'] || !has({_R}.ps)",
        "only strategy ParameterServer, or Auto, has parameter servers: change strategy, or remove roles.ps",
        ".strategy",
    ),
    rule(
        f"!has(self.strategy) || self.strategy != 'ParameterServer' || has({_R}.ps)",
        "strategy ParameterServer needs parameter servers: set roles.ps, for example {replicas: 1}",
        ".strategy",
    ),
    rule(
        "!has(self.strategy) || !(self.strategy in ['Single', 'Mirrored']) || "
        f"!has({_R}.worker) || {_R}.worker.replicas == 1",
        "strategies Single and Mirrored run in one pod: set roles.worker.replicas to 1, or use MultiWorkerMirrored",
        ".strategy",
    ),
    rule(
        f"!has(self.strategy) || self.strategy != 'Single' || !has({_R}.worker) || {_R}.worker.gpus <= 1",
        "strategy Single uses one GPU: set roles.worker.gpus to 1, or use Mirrored",
        ".strategy",
    ),
    rule(
        f"!has(self.strategy) || self.strategy != 'Mirrored' || (has({_R}.worker) && {_R}.worker.gpus > 1)",
        "strategy Mirrored shares batches among the GPUs of one pod: set roles.worker.gpus to 2 or more",
        ".strategy",
    ),
    rule(
        "!has(self.strategy) || self.strategy != 'MultiWorkerMirrored' || "
        f"(has({_R}.worker) && {_R}.worker.replicas > 1)",
        "strategy MultiWorkerMirrored needs several pods: set roles.worker.replicas to 2 or more",
        ".strategy",
    ),
    rule(
        f"!has({_R}.ps) || !has(self.tuning)",
        "a search runs its trials in one pod: remove tuning, or roles.ps",
        ".roles.ps",
    ),
    rule(
        f"!has({_R}.ps) || !has(self.privacy)",
        "private training draws its rows for one device: remove privacy, or roles.ps",
        ".roles.ps",
    ),
    rule(
        f"!has({_R}.ps) || has(self.program.container) || self.fit.precision != 'mixed_float16'",
        "workers with parameter servers cannot share the scale of the loss of mixed_float16: set fit.precision to "
        "Auto, float32 or mixed_bfloat16",
        ".fit.precision",
    ),
    rule(
        f"!has({_R}.ps) || has(self.program.container) || !has(self.fit.jitCompile) || !self.fit.jitCompile",
        "XLA cannot compile steps whose weights are on parameter servers: remove fit.jitCompile",
        ".fit.jitCompile",
    ),
    rule(
        f"has(self.program.container) || !has({_R}.ps) || "
        f"({_R}.ps.gpus == 0 && (!has({_R}.chief) || {_R}.chief.gpus == 0))",
        "the chief and the parameter servers of Trainyard's trainer use no GPUs: set gpus of roles.worker only",
        ".roles",
    ),
    rule(
        f"!has({_R}.ps) || has(self.program.container) || !has({_R}.worker) || {_R}.worker.gpus <= 1",
        "a worker of parameter servers uses one GPU: set roles.worker.gpus to 1, and more roles.worker.replicas",
        ".roles.worker",
    ),
    rule(
        f"!has({_R}.ps) || !has(self.runPolicy.queueName)",
        "a queue admits one Job, and a training with parameter servers has one for each role: remove "
        "runPolicy.queueName, or train with several workers and no ps",
        ".runPolicy.queueName",
    ),
]
