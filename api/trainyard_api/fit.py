"""How a TrainingJob trains."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from trainyard_api.meta import ApiModel, Column, Duration, rule, rules

OptimizerName = Literal[
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "muon", "nadam", "rmsprop",
    "sgd",
]  # fmt: skip
# The names are Keras': https://keras.io/api/losses and https://keras.io/api/metrics
LOSSES = {
    "binaryClassification": ["binary_crossentropy", "binary_focal_crossentropy"],
    "multiclassClassification": ["categorical_crossentropy", "categorical_focal_crossentropy"],
    "multilabelClassification": ["binary_crossentropy"],
    "regression": ["mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "quantile", "poisson"],
}
METRICS = {
    "binaryClassification": ["precision", "recall", "f1_score"],
    "multiclassClassification": ["precision", "recall", "f1_score", "top_k_categorical_accuracy"],
    "multilabelClassification": [],
    "regression": [
        "mean_squared_error", "root_mean_squared_error", "mean_absolute_percentage_error", "r2_score",
    ],
}  # fmt: skip
SVM_LOSSES = ["hinge", "squared_hinge"]
# Lists of names of all tasks would be an answer to a wrong one; the rules of the spec tell those of its task.
_NAME = WithJsonSchema({"type": "string", "maxLength": 64})
Loss = Annotated[Literal[
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "hinge", "huber", "log_cosh", "mean_absolute_error", "mean_squared_error", "poisson",
    "quantile", "squared_hinge",
], _NAME]  # fmt: skip
ALWAYS_REPORTED = (
    "loss", "accuracy", "auc", "mae", "mean_absolute_error", "val_loss", "val_accuracy", "val_auc", "val_mae",
)  # fmt: skip
"""What nobody has to ask for: each task has those of them that it can."""
Metric = Annotated[Literal[
    "f1_score", "mean_absolute_percentage_error", "mean_squared_error", "precision", "r2_score", "recall",
    "root_mean_squared_error", "top_k_categorical_accuracy",
], _NAME]  # fmt: skip
# As Keras names its dtype policies: https://keras.io/api/mixed_precision/policy
Precision = Literal["Auto", "float32", "mixed_bfloat16", "mixed_float16"]
LEARNING_RATE = 0.001
"""Where neither the spec nor the family says anything."""
_BATCH_SIZE = "expected a number of rows, or Auto"


def _auto(text: str) -> str:
    if text != "Auto":
        raise ValueError(_BATCH_SIZE)
    return text


BatchSize = (
    Annotated[int, Field(ge=1, le=1048576)]
    | Annotated[
        str,
        Field(max_length=7, json_schema_extra=rules(rule("type(self) == int || self == 'Auto'", _BATCH_SIZE))),
        AfterValidator(_auto),
    ]
)
ClassWeight = Annotated[float, Field(ge=0, le=1000000)]


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


class Optimizer(ApiModel):
    """A Keras optimizer."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.momentum) || self.name in ['rmsprop', 'sgd']",
                "only the optimizers sgd and rmsprop have a momentum",
                ".momentum",
            ),
        )
    )
    name: OptimizerName = Field(default="adam", description="Name of the optimizer, as in Keras.")
    learning_rate: float | None = Field(
        default=None, gt=0, le=100, description="Step size; by the family where absent, for most 0.001."
    )
    momentum: float | None = Field(default=None, ge=0, lt=1, description="Momentum of sgd or rmsprop.")
    weight_decay: float | None = Field(
        default=None, ge=0, le=100, description="Decay of the weights apart from the loss; as in Keras where absent."
    )
    schedule: Schedule | None = Field(default=None, description="How the learning rate changes.")


class ClassWeights(ApiModel):
    """How much the rows of each class count in the training loss; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.balanced != has(self.weights)", "set exactly one of balanced and weights"),
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
    restore_best_weights: bool = Field(
        default=True, description="Keep the weights of the best epoch; otherwise those of the last one."
    )


class StopWhen(ApiModel):
    """Reasons to stop before the last epoch."""

    loss_below: float | None = Field(default=None, description="Stop once an epoch's training loss is below this.")
    no_improvement: NoImprovement | None = Field(default=None, description="Stop once a metric stops improving.")
    steps: int | None = Field(
        default=None, ge=1, le=1000000000000, description="Stop after this many steps, also in the middle of an epoch."
    )
    time_limit: Duration | None = Field(
        default=None,
        description="Stop after this much time of training, for example 2h, and export what there is. Time before a "
        "restart counts, as far as its steps were saved.",
    )


class Fit(ApiModel):
    """How to train."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.quantile) == (has(self.loss) && self.loss == 'quantile')",
                "loss quantile and the field quantile go together: set both, such as quantile 0.9, or neither",
                ".quantile",
            ),
            rule(
                "!has(self.targetTransform) || !has(self.loss) || self.loss != 'poisson'",
                "loss poisson has a logarithm of its own: remove targetTransform",
                ".targetTransform",
            ),
        )
    )

    epochs: int | None = Field(
        default=None,
        ge=1,
        le=1000000,
        description="Passes over the training rows, at most. Where absent, by family and number of rows; families of "
        "tables then stop once val_loss no longer improves.",
    )
    batch_size: BatchSize | None = Field(
        default=None,
        description="Rows a step, or Auto: the largest that fits into memory and makes training faster, measured at "
        "the start. By family and number of rows where absent.",
    )
    optimizer: Optimizer = Field(default=Optimizer(), description="The optimizer.")
    loss: Loss | None = Field(
        default=None,
        description="What is minimised, as in Keras: binary_crossentropy, binary_focal_crossentropy, "
        "categorical_crossentropy, categorical_focal_crossentropy, mean_squared_error, mean_absolute_error, huber, "
        "log_cosh, quantile, poisson, hinge or squared_hinge. Where absent: cross-entropy for classes, hinge for an "
        "svm, mean_squared_error for numbers.",
    )
    quantile: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Which quantile loss quantile predicts: with 0.9 nine of ten labels are below the answer.",
    )
    target_transform: Literal["log1p"] | None = Field(
        default=None,
        description="What is learnt of numbers, as in numpy: log1p, the logarithm of 1 + label, for labels from 0 up "
        "that range over powers of ten. The served model, and all metrics but the loss, are in the unit of the label.",
    )
    metrics: list[Metric] = Field(
        default=[],
        max_length=16,
        description="Metrics of the validation rows, as in Keras, beside those that a task always has: precision, "
        "recall and f1_score of classes, top_k_categorical_accuracy of several of them; mean_squared_error, "
        "root_mean_squared_error, mean_absolute_percentage_error and r2_score of numbers.",
        json_schema_extra={"x-kubernetes-list-type": "set"}
        | rules(
            rule(
                f"self.all(m, !(m in {list(ALWAYS_REPORTED)}))",
                f"these are always reported, as far as the task has them: {', '.join(ALWAYS_REPORTED)}; remove them",
            )
        ),
    )
    class_weights: ClassWeights | None = Field(
        default=None, description="How much the rows of each class count; all alike where absent."
    )
    precision: Precision = Field(
        default="Auto",
        description="Precision of the steps: a dtype policy of Keras, or Auto: the fastest that keeps the loss, "
        "measured at the start. Weights and the exported model are float32.",
    )
    jit_compile: bool | None = Field(
        default=None,
        description="Whether XLA compiles the steps, as in Keras; where absent, if that is faster, measured at the "
        "start.",
    )
    time_limit: Duration | None = Field(
        default=None,
        description="Time of training that family auto may take to try families, for example 10m. Where absent, two "
        "minutes and one more for each million cells of the training rows, and at most an hour.",
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

    every: Duration = Field(default="1m", description="Time between two checkpoints, for example 5m.")
    every_steps: int | None = Field(
        default=None,
        ge=1,
        le=1000000000,
        description="Steps between two checkpoints; whichever of this and every comes first.",
    )
    keep: int = Field(default=3, ge=2, le=100, description="Checkpoints kept; older ones are removed.")
