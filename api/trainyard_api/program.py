"""What to train: a program that a TrainingJob can name."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from trainyard_api.audio import Audio
from trainyard_api.code import PythonProgram
from trainyard_api.images import Image
from trainyard_api.meta import ApiModel, Column, rule, rules
from trainyard_api.prediction import PredictProgram
from trainyard_api.tasks import Task as Task
from trainyard_api.text import Text

# The names are Keras': https://keras.io/api/layers/activations and https://keras.io/api/optimizers
Activation = Literal[
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "tanh",
]  # fmt: skip
Family = Literal[
    "auto", "linear", "mlp", "svm", "gradientBoostedTrees", "randomForest", "textClassifier", "audioClassifier", "cnn",
]  # fmt: skip
CANDIDATES: tuple[Family, ...] = ("linear", "gradientBoostedTrees", "mlp")
"""What family auto tries, in this order: the quickest first."""
TREE_FAMILIES: tuple[Family, ...] = ("gradientBoostedTrees", "randomForest")
Direction = Literal["increasing", "decreasing"]
Units = Annotated[int, Field(ge=1, le=1048576)]
_TREES = f"self.family in {list(TREE_FAMILIES)}"
Argument = Annotated[str, Field(max_length=65536)]


class KerasProgram(ApiModel):
    """A model described by a few knobs and built with Keras."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.family != 'svm' || self.task != 'regression'",
                "family svm predicts classes only; use linear or mlp for task regression",
                ".task",
            ),
            rule(
                f"self.task != 'multilabelClassification' || !(self.family == 'svm' || {_TREES})",
                "trees and family svm give each row one class; use linear or mlp for task multilabelClassification",
                ".task",
            ),
            rule("self.kernel == 'linear' || self.family == 'svm'", "only family svm has a kernel", ".kernel"),
            rule(
                "!has(self.normalization) || self.family in ['auto', 'mlp', 'cnn']",
                "only the layers of an mlp or a cnn have a normalization",
                ".normalization",
            ),
            rule("!has(self.gamma) || self.kernel == 'rbf'", "only kernel rbf has a gamma", ".gamma"),
            rule(
                "self.randomFeatures == 512 || self.kernel == 'rbf'",
                "only kernel rbf has random features",
                ".randomFeatures",
            ),
            rule(
                f"{_TREES} || ![has(self.numTrees), has(self.maxDepth), has(self.minExamples)].exists(x, x)",
                "only the families gradientBoostedTrees and randomForest have numTrees, maxDepth and minExamples",
            ),
            rule(
                "self.family == 'gradientBoostedTrees' || !(has(self.shrinkage) || has(self.subsample))",
                "only family gradientBoostedTrees has shrinkage and subsample",
            ),
            rule(
                f"!({_TREES}) || (self.hidden == [128, 64] && self.activation == 'relu' && self.dropout == 0.0 && "
                "!has(self.normalization))",
                "trees have no layers: leave hidden, activation, normalization and dropout out",
            ),
            rule(
                "!(self.family in ['linear', 'svm']) || (self.hidden == [128, 64] && self.activation == 'relu' && "
                "self.dropout == 0.0)",
                "families linear and svm have no hidden layers: leave hidden, activation and dropout out",
            ),
            rule(
                "!has(self.monotonic) || (self.family == 'gradientBoostedTrees' && "
                "self.task != 'multiclassClassification')",
                "only family gradientBoostedTrees can be held to directions, for task regression or "
                "binaryClassification: neither the other families nor several classes have monotonic",
                ".monotonic",
            ),
            rule("self.family != 'randomForest' || !has(self.l2)", "family randomForest has no penalty", ".l2"),
            rule(
                "!has(self.text) || self.family == 'textClassifier'", "text is for family textClassifier only", ".text"
            ),
            rule(
                "!has(self.audio) || self.family == 'audioClassifier'",
                "audio is for family audioClassifier only",
                ".audio",
            ),
            rule("!has(self.image) || self.family == 'cnn'", "image is for family cnn only", ".image"),
        )
    )
    family: Family = Field(
        default="auto",
        description="Kind of model: auto (linear, gradientBoostedTrees and mlp are tried on a table, and the best of "
        "them, or their weighted mean, is exported; mlp where a field is set that only a network has), linear "
        "(logistic or linear regression), mlp (a stack of dense layers), svm (a support vector machine, for classes "
        "only), gradientBoostedTrees, randomForest, textClassifier (one column of texts), audioClassifier (WAV files), "
        "or cnn (a convolutional network for images).",
    )
    task: Task = Field(
        description="What is predicted: one of two classes, one of several, any number of labels, or a number."
    )
    hidden: list[Units] = Field(
        default=[128, 64],
        min_length=0,
        max_length=64,
        description="Units of each hidden layer of an mlp, or behind the pooling of a cnn, textClassifier or "
        "audioClassifier, first to last; the other families have none.",
    )
    activation: Activation = Field(default="relu", description="Activation of the hidden layers.")
    normalization: Literal["batchNormalization", "groupNormalization", "layerNormalization", "none"] | None = Field(
        default=None,
        description="Normalisation before the activation of each hidden layer of an mlp, none where absent, or of each "
        "convolution of a cnn, groupNormalization where absent.",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of units dropped after each hidden layer.")
    l2: float | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Penalty: the loss grows by this times the sum of the squared weights. Where absent 0.0001 for an "
        "svm, for linear 1 / training rows (half of it for classes), otherwise 0. For gradientBoostedTrees the weights "
        "are the values of the leaves.",
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
    num_trees: int | None = Field(
        default=None,
        ge=1,
        le=10000,
        description="Trees; with several classes, gradientBoostedTrees has as many for each of them. Where absent "
        "300, and gradientBoostedTrees stops once val_loss has not improved for 30 of them.",
    )
    max_depth: int | None = Field(
        default=None,
        ge=2,
        le=30,
        description="Levels of a tree, its root among them; where absent, 6 for gradientBoostedTrees (4 with fewer "
        "than 2,000 rows) and 16 for randomForest.",
    )
    min_examples: int | None = Field(
        default=None, ge=1, le=1000000000, description="The fewest training rows in a leaf; 5 where absent."
    )
    shrinkage: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of each new tree that gradientBoostedTrees adds: their learning rate. 0.1 where absent.",
    )
    subsample: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of the training rows, drawn anew, that each tree of gradientBoostedTrees sees; all where "
        "absent.",
    )
    monotonic: dict[Column, Direction] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Columns of numbers, each with the direction in which the prediction of gradientBoostedTrees may "
        "move as it grows, all else equal: the predicted number, or the probability of the second class.",
    )
    text: Text | None = Field(default=None, description="How a textClassifier reads texts.")
    audio: Audio | None = Field(default=None, description="How an audioClassifier reads WAV files.")
    image: Image | None = Field(default=None, description="How a cnn reads images, and its size.")


class ContainerProgram(ApiModel):
    """Any TensorFlow program that follows the trainer's contract (docs/reference/trainer-contract.md)."""

    image: str = Field(min_length=1, max_length=512, description="Image of the program.")
    command: list[Argument] | None = Field(
        default=None, max_length=100, description="Overrides the image's entrypoint."
    )
    args: list[Argument] | None = Field(default=None, max_length=100, description="Arguments of the command.")


ModelProgram = KerasProgram | PythonProgram
"""What the trainer itself runs."""


class Program(ApiModel):
    """What to train; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.keras), has(self.python), has(self.container), has(self.predict)].filter(x, x).size() == 1",
                "set exactly one of keras, python, container and predict",
            ),
        )
    )
    keras: KerasProgram | None = Field(default=None, description="A model described by a few knobs.")
    python: PythonProgram | None = Field(default=None, description="A Keras model that your own function builds.")
    container: ContainerProgram | None = Field(default=None, description="A program of your own.")
    predict: PredictProgram | None = Field(
        default=None,
        description="No training: the predictions of a version that is there, for all rows of data.source.",
    )

    @property
    def model(self) -> ModelProgram | None:
        """The program that the trainer trains; none where the user's image does everything, or nothing is trained."""
        return self.keras or self.python
