"""TrainingJob: one model to train, from data to a version in a store."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from trainyard_operator.api.meta import (
    NAME_RULE,
    ApiModel,
    Conditions,
    Duration,
    Label,
    Name,
    RelativePath,
    ResourceName,
    Time,
    rule,
    rules,
)
from trainyard_operator.api.pods import GPU_RULES, PodTemplate, Resources

KIND, PLURAL, SINGULAR, SHORT = "TrainingJob", "trainingjobs", "trainingjob", "tj"

Task = Literal["binaryClassification", "multiclassClassification", "regression"]
# The names are Keras': https://keras.io/api/layers/activations and https://keras.io/api/optimizers
Activation = Literal[
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "tanh",
]  # fmt: skip
Family = Literal["linear", "mlp", "svm"]
Units = Annotated[int, Field(ge=1, le=1048576)]
Argument = Annotated[str, Field(max_length=65536)]
Column = Annotated[str, Field(min_length=1, max_length=256)]
ClassWeight = Annotated[float, Field(ge=0, le=1000000)]
OptimizerName = Literal[
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "nadam", "rmsprop", "sgd",
]  # fmt: skip


SVM_HAS_NO_REGRESSION = "family svm predicts classes only; use linear or mlp for task regression"
ONLY_SVM_HAS_A_KERNEL = "only family svm has a kernel"
ONLY_RBF_HAS_GAMMA = "only kernel rbf has a gamma"


class KerasProgram(ApiModel):
    """A model described by a few knobs and built with Keras."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.family != 'svm' || self.task != 'regression'", SVM_HAS_NO_REGRESSION, ".task"),
            rule("self.kernel == 'linear' || self.family == 'svm'", ONLY_SVM_HAS_A_KERNEL, ".kernel"),
            rule("!has(self.gamma) || self.kernel == 'rbf'", ONLY_RBF_HAS_GAMMA, ".gamma"),
        )
    )
    family: Family = Field(
        default="mlp",
        description="Kind of model: linear (logistic or linear regression), mlp (a stack of dense layers), or svm "
        "(a support vector machine, for classes only).",
    )
    task: Task = Field(description="What is predicted: one of two classes, one of several, or a number.")
    hidden: list[Units] = Field(
        default=[128, 64],
        min_length=0,
        max_length=64,
        description="Units of each hidden layer of an mlp, first to last.",
    )
    activation: Activation = Field(default="relu", description="Activation of the hidden layers.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of units dropped after each hidden layer.")
    l2: float | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Penalty: the loss grows by this times the sum of the squared weights; 0.0001 for an svm, "
        "otherwise 0 where absent.",
    )
    kernel: Literal["linear", "rbf"] = Field(
        default="linear", description="Kernel of an svm; rbf is the Gaussian one, by random Fourier features."
    )
    gamma: float | None = Field(
        default=None,
        gt=0,
        le=1000000,
        description="The rbf kernel is exp(-gamma * squared distance) of normalised columns; 1 / columns where absent.",
    )
    random_features: int = Field(
        default=512, ge=1, le=65536, description="Random features of the rbf kernel: more come nearer to it."
    )


class ContainerProgram(ApiModel):
    """Any TensorFlow program that follows the trainer's contract (docs/trainer-contract.md)."""

    image: str = Field(min_length=1, max_length=512, description="Image of the program.")
    command: list[Argument] | None = Field(
        default=None, max_length=100, description="Overrides the image's entrypoint."
    )
    args: list[Argument] | None = Field(default=None, max_length=100, description="Arguments of the command.")


class Program(ApiModel):
    """What to train; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.keras) != has(self.container)", "set exactly one of keras and container"),
        )
    )
    keras: KerasProgram | None = Field(default=None, description="A model described by a few knobs.")
    container: ContainerProgram | None = Field(default=None, description="A program of your own.")


class ConfigMapSource(ApiModel):
    """Data small enough for a ConfigMap (1 MiB)."""

    name: Name = Field(description="Name of the ConfigMap.")
    key: str | None = Field(
        default=None,
        pattern=r"^[-._a-zA-Z0-9]+$",
        max_length=253,
        description="The one key to read; all keys, as files, where absent.",
    )


class VolumeSource(ApiModel):
    """Data on a PersistentVolumeClaim."""

    claim_name: Name = Field(description="Name of the PersistentVolumeClaim.")
    path: RelativePath = Field(default="", description="File or folder inside the volume, relative to its root.")


class DataSource(ApiModel):
    """Where the data is; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.uri), has(self.configMap), has(self.persistentVolumeClaim)].filter(x, x).size() == 1",
                "set exactly one of uri, configMap and persistentVolumeClaim",
            ),
        )
    )
    uri: str | None = Field(
        default=None, min_length=1, max_length=2048, description="A file or folder: a path or a file:// URI."
    )
    config_map: ConfigMapSource | None = Field(default=None, description="A ConfigMap in the same namespace.")
    persistent_volume_claim: VolumeSource | None = Field(default=None, description="A claim in the same namespace.")


class Validation(ApiModel):
    """Which rows are held back to judge the model by."""

    fraction: float = Field(default=0.1, ge=0, le=0.9, description="Share of the rows, chosen by the seed.")


class Data(ApiModel):
    """The data set and what its columns mean."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.features) || !(self.label in self.features)", "label cannot be one of the features", ".label"
            ),
        )
    )
    source: DataSource = Field(description="Where the data is.")
    format: Literal["auto", "csv", "parquet"] = Field(default="auto", description="Format; auto goes by the file name.")
    label: Column = Field(description="The column to predict.")
    features: list[Column] | None = Field(
        default=None,
        min_length=1,
        max_length=10000,
        description="The columns to predict from, each once; all but the label where absent.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    validation: Validation = Field(default=Validation(), description="Which rows are held back.")


class Schedule(ApiModel):
    """How the learning rate changes from step to step."""

    name: Literal["cosineDecay", "exponentialDecay"] = Field(description="Name of the schedule, as in Keras.")
    decay_steps: int | None = Field(
        default=None,
        ge=1,
        le=1000000000,
        description="Steps of the decay. Where absent, cosineDecay takes all steps after the warm-up, and "
        "exponentialDecay multiplies the rate by decayRate each epoch.",
    )
    decay_rate: float = Field(
        default=0.96, gt=0, le=1, description="What decaySteps steps of exponentialDecay multiply the rate by."
    )
    alpha: float = Field(default=0.0, ge=0, le=1, description="Share of the rate that is left after cosineDecay.")
    warmup_steps: int = Field(
        default=0, ge=0, le=1000000000, description="Steps in which the rate rises from 0 before cosineDecay begins."
    )


ONLY_SOME_HAVE_MOMENTUM = "only the optimizers sgd and rmsprop have a momentum"


class Optimizer(ApiModel):
    """A Keras optimizer."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("!has(self.momentum) || self.name in ['rmsprop', 'sgd']", ONLY_SOME_HAVE_MOMENTUM, ".momentum"),
        )
    )
    name: OptimizerName = Field(default="adam", description="Name of the optimizer, as in Keras.")
    learning_rate: float = Field(default=0.001, gt=0, le=100, description="Step size.")
    momentum: float | None = Field(default=None, ge=0, lt=1, description="Momentum of sgd or rmsprop.")
    weight_decay: float | None = Field(
        default=None, ge=0, le=100, description="Decay of the weights apart from the loss; as in Keras where absent."
    )
    schedule: Schedule | None = Field(default=None, description="How the learning rate changes; not where absent.")


ONE_KIND_OF_WEIGHTS = "set exactly one of balanced and weights"


class ClassWeights(ApiModel):
    """How much the rows of each class count in the training loss; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.balanced != has(self.weights)", ONE_KIND_OF_WEIGHTS),
        )
    )
    balanced: bool = Field(default=False, description="All classes count the same, however many rows they have.")
    weights: dict[Column, ClassWeight] | None = Field(
        default=None, min_length=1, max_length=10000, description="Weight of each class; 1 for those not named."
    )


class NoImprovement(ApiModel):
    """Early stopping."""

    metric: str = Field(default="val_loss", max_length=64, description="The metric to watch, as in status.progress.")
    epochs: int = Field(default=3, ge=1, le=100000, description="Epochs without improvement before training stops.")
    min_delta: float = Field(default=0.0, ge=0, description="The smallest change that counts as improvement.")


class StopWhen(ApiModel):
    """Reasons to stop before the last epoch."""

    loss_below: float | None = Field(default=None, description="Stop once an epoch's training loss is below this.")
    no_improvement: NoImprovement | None = Field(default=None, description="Stop once a metric stops improving.")


class Fit(ApiModel):
    """How to train."""

    epochs: int = Field(default=10, ge=1, le=1000000, description="Passes over the training rows, at most.")
    batch_size: int = Field(default=32, ge=1, le=1048576, description="Rows a step.")
    optimizer: Optimizer = Field(default=Optimizer(), description="The optimizer.")
    class_weights: ClassWeights | None = Field(
        default=None, description="How much the rows of each class count; all alike where absent."
    )
    stop_when: StopWhen = Field(default=StopWhen(), description="Reasons to stop before the last epoch.")
    seed: int = Field(
        default=42,
        ge=0,
        le=4294967295,
        description="Makes the split, the order of rows and the first weights the same.",
    )


class Checkpoint(ApiModel):
    """How often work is saved."""

    every_steps: int = Field(default=500, ge=1, le=1000000000, description="Steps between two checkpoints.")
    keep: int = Field(default=3, ge=2, le=100, description="Checkpoints kept; older ones are removed.")


class Worker(ApiModel):
    """The pods that train."""

    model_config = ConfigDict(json_schema_extra=rules(*GPU_RULES))
    replicas: int = Field(default=1, ge=1, le=1, description="Number of pods; more than one is not supported yet.")
    gpus: int = Field(default=0, ge=0, le=64, description="GPUs of each pod.")
    gpu_resource: ResourceName = Field(
        default="nvidia.com/gpu", description="Name of the extended resource that counts as a GPU."
    )
    image: str | None = Field(
        default=None, min_length=1, max_length=512, description="Overrides the operator's trainer image."
    )
    resources: Resources = Field(default=Resources(), description="Resources of each pod, without its GPUs.")
    template: PodTemplate = Field(default=PodTemplate(), description="What else to set on the pods.")


class Roles(ApiModel):
    """The groups of pods of a training."""

    worker: Worker = Field(default=Worker(), description="The pods that train.")


class RunPolicy(ApiModel):
    """How a training is run."""

    suspend: bool = Field(default=False, description="Stop the pods, or do not start them, until set back to false.")
    max_restarts: int = Field(
        default=3, ge=0, le=100, description="Restarts after a failure of the program. Disruptions are not charged."
    )
    active_deadline: Duration | None = Field(default=None, description="Longest run of one attempt, for example 24h.")


class ClaimStore(ApiModel):
    """A PersistentVolumeClaim that keeps models."""

    claim_name: Name = Field(description="Name of the PersistentVolumeClaim; it must already exist.")


class Store(ApiModel):
    """Where model versions are kept."""

    persistent_volume_claim: ClaimStore = Field(description="A claim in the same namespace.")


class Output(ApiModel):
    """Where the result goes."""

    store: Store = Field(description="The model store; versions are written to <store>/<modelName>/<version>/.")


_FIXED = "{} cannot change once the job exists; create a new TrainingJob to train again"


class TrainingJobSpec(ApiModel):
    """What to train, on what, how, and where the model goes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.modelName) == has(oldSelf.modelName) && "
                "(!has(self.modelName) || self.modelName == oldSelf.modelName)",
                _FIXED.format("modelName"),
                ".modelName",
            ),
            *(
                rule(f"self.{field} == oldSelf.{field}", _FIXED.format(field), f".{field}")
                for field in ("program", "data", "fit", "checkpoint", "roles", "output")
            ),
        )
    )
    model_name: Label | None = Field(default=None, description="Name in the store; metadata.name if absent.")
    program: Program = Field(description="What to train.")
    data: Data = Field(description="The data set.")
    fit: Fit = Field(default=Fit(), description="How to train.")
    checkpoint: Checkpoint = Field(default=Checkpoint(), description="How often work is saved.")
    roles: Roles = Field(default=Roles(), description="The pods.")
    run_policy: RunPolicy = Field(default=RunPolicy(), description="How the training is run.")
    output: Output = Field(description="Where the model goes.")


class Progress(ApiModel):
    """How far the training is; the same numbers as the trainer's /progress."""

    epoch: int = Field(default=0, description="Epochs finished.")
    epochs: int = Field(default=0, description="Epochs at most.")
    step: int = Field(default=0, description="Steps finished.")
    steps: int = Field(default=0, description="Steps at most.")
    percent: int = Field(default=0, description="Share of the steps finished.")
    summary: str = Field(default="", description="Epochs finished of epochs at most, for kubectl get.")
    loss: str | None = Field(default=None, description="Training loss of the running epoch, as a decimal number.")
    metrics: dict[str, str] = Field(default={}, description="Metrics of the last epoch, as decimal numbers.")
    samples_per_second: int | None = Field(default=None, description="Rows trained on each second.")
    eta: str | None = Field(default=None, description="Time left, for example 3m20s.")


class Attempt(ApiModel):
    """One run of the training from start, or checkpoint, to end."""

    n: int = Field(description="Number of the attempt, from 0.")
    started: Time | None = Field(default=None, description="When its pod started (RFC 3339).")
    ended: Time | None = Field(default=None, description="When it ended (RFC 3339).")
    outcome: Literal["Running", "Succeeded", "Failed", "Stopped"] = Field(description="How it ended, or Running.")
    exit_code: int | None = Field(default=None, description="Exit code of the trainer.")
    node: str | None = Field(default=None, description="Node it ran on.")


class Failure(ApiModel):
    """Why the training failed; kept when the pods are gone."""

    reason: str = Field(description="One CamelCase word.")
    message: str = Field(description="What went wrong and what to change.")
    attempt: int = Field(default=0, description="The attempt that failed.")
    exit_code: int | None = Field(default=None, description="Exit code of the trainer.")
    node: str | None = Field(default=None, description="Node it ran on.")


class CheckpointStatus(ApiModel):
    """The newest checkpoint."""

    step: int = Field(description="Steps finished when it was written.")
    path: str = Field(description="Where it is, inside the store.")
    time: Time = Field(description="When it was written (RFC 3339).")


class ModelStatus(ApiModel):
    """The trained model version."""

    name: str = Field(description="Name of the model in the store.")
    version: int = Field(description="Version, from 1.")
    uri: str = Field(description="Where it is, as a ModelService's spec.model.uri takes it.")
    digest: str = Field(description="Digest of its manifest trainyard.json, as sha256:<hex>.")
    size_bytes: int = Field(default=0, description="Size of its files together.")
    metrics: dict[str, str] = Field(default={}, description="Final metrics, as decimal numbers.")


Phase = Literal["Pending", "Starting", "Running", "Exporting", "Suspended", "Succeeded", "Failed"]


class TrainingJobStatus(ApiModel):
    """What the operator has observed."""

    observed_generation: int = Field(default=0, description="The generation of the spec this status is about.")
    phase: Phase = Field(default="Pending", description="A one-word summary of the conditions.")
    conditions: Conditions = Field(default=[], description="Observations; Succeeded and Failed are final.")
    progress: Progress | None = Field(default=None, description="How far the training is.")
    # At most maxRestarts and as many stops as are borne, and the first.
    attempts: list[Attempt] = Field(default=[], max_length=128, description="Every run so far.")
    restarts: int = Field(default=0, description="Restarts after failures of the program.")
    failure: Failure | None = Field(default=None, description="Why the training failed.")
    last_checkpoint: CheckpointStatus | None = Field(default=None, description="The newest checkpoint.")
    model: ModelStatus | None = Field(default=None, description="The trained model version.")
    start_time: Time | None = Field(default=None, description="When the operator started the training (RFC 3339).")
    completion_time: Time | None = Field(default=None, description="When the training ended (RFC 3339).")
    gpus: int = Field(default=0, description="GPUs of all pods together.")


class TrainingJob(ApiModel):
    """A model to train: data, program and settings in; a verified model version out."""

    model_config = ConfigDict(json_schema_extra=rules(NAME_RULE))
    api_version: str = "trainyard.dev/v1alpha1"
    kind: Literal["TrainingJob"] = "TrainingJob"
    metadata: dict[str, Any]
    spec: TrainingJobSpec
    status: TrainingJobStatus | None = None

    @property
    def model_name(self) -> str:
        """The model's name in the store."""
        return self.spec.model_name or str(self.metadata["name"])
