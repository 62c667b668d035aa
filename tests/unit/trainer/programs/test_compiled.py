"""Models as most programs have them: compiled, and with a sigmoid or softmax at their end."""

import csv
import importlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from support.trained import served_accuracy, trained_well
from support.trainer_fits import Fitted, fitted
from support.trainer_runs import SpecBuilder
from support.user_programs import a_program, code, train
from trainyard_api import names
from trainyard_trainer.export.saved_model import ServingModel, save
from trainyard_trainer.programs.inputs import describe_data

MODELS = """
import keras

layers, losses, metrics = keras.layers, keras.losses, keras.metrics

def body(data):
    inputs = data.keras_inputs()
    vectors = layers.Flatten()(layers.Embedding(data.inputs["slots"].slots, 4)(inputs["slots"]))
    x = layers.Concatenate()([inputs["dense_features"], vectors])
    return inputs, layers.Dense(24, activation="relu")(x)

def ending(data, *last, **compiled):
    inputs, x = body(data)
    for each in last:
        x = each(x)
    model = keras.Model(inputs, x)
    if compiled:
        model.compile(optimizer=keras.optimizers.Adam(0.02), **compiled)
    return model

def my_metric(labels, outputs):
    return keras.ops.mean(outputs)

# Of a model that puts out probabilities.
def dense(data):
    wanted = ["accuracy", metrics.AUC(), metrics.Precision(), "recall", metrics.AUC(curve="PR"), my_metric]
    return ending(data, layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy", metrics=wanted)

def activation_layer(data):
    last = layers.Activation("sigmoid", dtype="float32")
    return ending(data, layers.Dense(1), last, loss=losses.BinaryCrossentropy())

def function(data):
    return ending(data, layers.Dense(1), keras.activations.sigmoid, loss=losses.binary_crossentropy)

def without_compile(data):
    return ending(data, layers.Dense(1, activation="sigmoid"))

def head(data):
    return ending(data, keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(1, activation="sigmoid")]))

def nested(data):
    x = keras.Input((24,))
    return ending(data, keras.Model(x, layers.Dense(1, activation="sigmoid")(x)), loss="bce")

def sure_and_wrong(data):
    last = layers.Dense(1, activation="sigmoid", bias_initializer=keras.initializers.Constant(120.0))
    return ending(data, last, loss="binary_crossentropy")

def classes(data):
    return ending(
        data, layers.Dense(data.outputs, activation="softmax"), loss="sparse_categorical_crossentropy",
        metrics=["accuracy", metrics.SparseCategoricalAccuracy(), metrics.F1Score(average="macro")],
    )

def softmax_layer(data):
    return ending(data, layers.Dense(data.outputs), layers.Softmax(), loss=losses.CategoricalCrossentropy())

def several(data):
    return ending(data, layers.Dense(data.outputs, activation="sigmoid"), loss=["binary_crossentropy"])

# Of one that puts out what comes before.
def before_sigmoid(data):
    wanted = [metrics.BinaryAccuracy(threshold=0.0), metrics.AUC(from_logits=True)]
    return ending(data, layers.Dense(1), loss=losses.BinaryCrossentropy(from_logits=True), metrics=wanted)

def before_softmax(data):
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    return ending(data, layers.Dense(data.outputs), loss=loss, metrics=[["acc"]])

def number(data):
    return ending(data, layers.Dense(1), loss=losses.Huber(), metrics=["mae", "mse", metrics.R2Score()])

# Sequential ones take one input.
def stack(data):
    return keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(1, activation="sigmoid")])

def declared_stack(data):
    shape = data.inputs["dense_features"].shape
    stack = keras.Sequential([keras.Input(shape), *[layers.Dense(16, activation="relu"), layers.Dense(1)]])
    stack.add(layers.Activation("sigmoid"))
    stack.compile(loss="binary_crossentropy")
    return stack

def used_before(data):
    import numpy as np
    model = declared_stack(data)
    model.fit(np.zeros((8, *data.inputs["dense_features"].shape)), np.ones(8), verbose=0)
    return model

# What cannot be.
class Own(keras.Model):
    def __init__(self, last):
        super().__init__()
        self.last = last

    def call(self, rows):
        return self.last(rows["dense_features"])

class Block(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = layers.Dense(1, activation="sigmoid")

    def build(self, shape):
        self.last.build(shape)

    def call(self, x):
        return self.last(x)

class Gate(layers.Dense):
    def call(self, rows):
        return super().call(rows) * 0.5 + 0.1

def subclass(data):
    return Own(layers.Dense(1, activation="sigmoid"))

def subclass_before_sigmoid(data):
    model = Own(layers.Dense(1))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=losses.BinaryCrossentropy(from_logits=True))
    return model

def subclass_inside(data):
    return ending(data, Block(), loss="bce")

def more_than_sigmoid(data):
    return ending(data, Gate(1, activation="sigmoid"))

def softmax_of_one(data):
    return ending(data, layers.Dense(1, activation="softmax"))

def sigmoid_of_number(data):
    return ending(data, layers.Dense(1, activation="sigmoid"), loss="mse")

def twice(data):
    last = layers.Dense(1, activation="sigmoid", name="last")
    return ending(data, last, loss=losses.BinaryCrossentropy(from_logits=True))

def never(data):
    return ending(data, layers.Dense(1, name="last"), loss="binary_crossentropy")

def other_loss(data):
    return ending(data, layers.Dense(1, activation="sigmoid"), loss="mse")

def misspelt_loss(data):
    return ending(data, layers.Dense(1, activation="sigmoid"), loss="binary_crosentropy")

def own_loss(data):
    def binary_crossentropy(labels, outputs):
        return keras.ops.mean(outputs)
    return ending(data, layers.Dense(1, activation="sigmoid"), loss=binary_crossentropy)

def smoothed(data):
    return ending(data, layers.Dense(1, activation="sigmoid"), loss=losses.BinaryCrossentropy(label_smoothing=0.1))

def wide_huber(data):
    return ending(data, layers.Dense(1), loss=losses.Huber(delta=3.0))

def weighted(data):
    return ending(data, layers.Dense(1, activation="sigmoid"), loss="bce", loss_weights=[2.0])

def focal(data):
    return ending(data, layers.Dense(1, activation="sigmoid"), loss=losses.BinaryFocalCrossentropy())
"""
FEATURES = ["a", "b", "colour"]
CENTRES = {"east": (2.0, 0.0), "north": (0.0, 2.0), "west": (-2.0, -1.0)}


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Return rows whose labels follow from their features: of two, three and several classes, and a number."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        three, colour = rng.choice(list(CENTRES)), rng.choice(["red", "green"])
        a, b = rng.normal(CENTRES[three], 0.5)
        several = ";".join(name for name, there in (("east", a > 0), ("red", colour == "red")) if there)
        two = "yes" if a + (colour == "red") > 0.5 else "no"
        found.append(
            {"a": a, "b": b, "colour": colour, "two": two, "three": three, "several": several, "number": 50 + 10 * a}
        )
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*FEATURES, "two", "three", "several", "number"])
        writer.writeheader()
        writer.writerows(rows(300, seed=5))
    return path


_LABELS = {
    "binaryClassification": "two",
    "multiclassClassification": "three",
    "multilabelClassification": "several",
    "regression": "number",
}


def a_job(data: Path, function: str, task: str = "binaryClassification", **more: Any) -> SpecBuilder:
    spec = a_program(data, f"usual_models:{function}", task=task)
    separator = {"labelSeparator": ";"} if task == "multilabelClassification" else {}
    fields = {"label": _LABELS[task], "features": FEATURES} | separator | more
    return spec.with_data(**fields).with_fit(epochs=25, optimizer={"name": "adam", "learningRate": 0.02})


def trained(spec: SpecBuilder, folder: Path) -> Fitted:
    return fitted(spec, folder, extra=code(folder, "usual_models.py", MODELS))


def answers(done: Fitted, folder: Path, function: str, task: Any) -> tuple[Any, Any]:
    """Return what the exported model answers for some rows, and what the user's own with the same weights puts out."""
    model, encoder = done.trained.model, done.trained.encoder
    save(ServingModel(model, encoder, done.trained.task), folder / "model")
    raw = next(
        rows for shard in done.prepared.table.shards() for rows in done.prepared.table.read(shard, batch_rows=64)
    )
    sent, features = encoder.samples(raw)
    served = tf.saved_model.load(str(folder / "model")).signatures["serving_default"]
    spec = describe_data(task, done.prepared.profile, encoder.inputs, done.trained.task.outputs)
    own = getattr(importlib.import_module("usual_models"), function)(spec)
    inputs = encoder.encode(features)
    given = inputs if not isinstance(own, keras.Sequential) else inputs["dense_features"]
    own(given)
    own.set_weights(model.get_weights())
    return served(**{name: tf.constant(each) for name, each in sent.items()}), own(given, training=False).numpy()


@pytest.mark.parametrize(
    "function", ["dense", "activation_layer", "function", "without_compile", "head", "nested", "sure_and_wrong"]
)
def test_a_model_of_probabilities_learns_and_its_export_answers_what_it_would_itself(
    function: str, data: Path, tmp_path: Path
) -> None:
    done = trained(a_job(data, function), tmp_path)

    assert done.trained.end.metrics["val_accuracy"] > 0.9
    served, own = answers(done, tmp_path, function, "binaryClassification")
    np.testing.assert_allclose(served["probability"], own[:, 0], rtol=1e-4, atol=1e-6)
    assert np.ptp(own) > 0.5


@pytest.mark.parametrize("function", ["classes", "softmax_layer"])
def test_a_softmax_over_classes_is_answered_as_it_would_be_itself(function: str, data: Path, tmp_path: Path) -> None:
    done = trained(a_job(data, function, "multiclassClassification"), tmp_path)

    assert done.trained.end.metrics["val_accuracy"] > 0.9
    served, own = answers(done, tmp_path, function, "multiclassClassification")
    np.testing.assert_allclose(served["probabilities"], own, rtol=1e-4, atol=1e-6)
    assert ("val_f1_score" in done.trained.end.metrics) == (function == "classes")


def test_a_sigmoid_for_each_of_several_labels_is_answered_as_it_would_be_itself(data: Path, tmp_path: Path) -> None:
    done = trained(a_job(data, "several", "multilabelClassification"), tmp_path)

    assert done.trained.end.metrics["val_f1_score"] > 0.9
    served, own = answers(done, tmp_path, "several", "multilabelClassification")
    np.testing.assert_allclose(served["probabilities"], own, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("function", ["stack", "declared_stack", "used_before"])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras' fit
def test_a_sequential_model_of_probabilities_learns_too(function: str, data: Path, tmp_path: Path) -> None:
    done = trained(a_job(data, function, features=["a", "b"]).with_fit(epochs=60), tmp_path)

    assert done.trained.end.metrics["val_accuracy"] > 0.8
    served, own = answers(done, tmp_path, function, "binaryClassification")
    np.testing.assert_allclose(served["probability"], own[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "task", "metric", "least"),
    [
        ("before_sigmoid", "binaryClassification", "val_accuracy", 0.9),
        ("before_softmax", "multiclassClassification", "val_accuracy", 0.9),
        ("subclass_before_sigmoid", "binaryClassification", "val_accuracy", 0.7),
        ("number", "regression", "val_r2_score", 0.9),
    ],
)
def test_a_model_compiled_with_a_loss_of_its_outputs_learns(
    function: str, task: str, metric: str, least: float, data: Path, tmp_path: Path
) -> None:
    done = trained(a_job(data, function, task), tmp_path)

    assert done.trained.end.metrics[metric] > least
    assert not [each for each in done.events if each["event"] == "metrics-left-out"]


def test_metrics_of_compile_are_reported_and_those_that_nobody_has_are_named(data: Path, tmp_path: Path) -> None:
    result = train(a_job(data, "dense").with_fit(epochs=1, metrics=["f1_score"]), tmp_path, "usual_models.py", MODELS)

    assert result.code == 0, result.stderr
    assert {"val_f1_score", "val_precision", "val_recall", "val_auc"} <= result.report["metrics"].keys()
    assert result.the("metrics-left-out")["metrics"] == ["AUC", "my_metric"]
    history = next((tmp_path / "store").rglob("history.csv")).read_text()
    assert "val_precision" in history.splitlines()[0]


def test_a_metric_of_compile_may_be_waited_for(data: Path, tmp_path: Path) -> None:
    waiting = {"noImprovement": {"metric": "val_precision", "epochs": 2}}
    spec = a_job(data, "dense").with_fit(stopWhen=waiting)

    assert trained(spec, tmp_path).trained.end.stop.best is not None
    result = train(a_job(data, "without_compile").with_fit(stopWhen=waiting), tmp_path, "usual_models.py", MODELS)
    assert "'val_precision', which this training does not have" in result.report["message"]


def test_a_focal_loss_of_compile_is_what_is_minimised(data: Path, tmp_path: Path) -> None:
    once = a_job(data, "focal").with_fit(epochs=1)

    named = trained(a_job(data, "without_compile").with_fit(epochs=1, loss="binary_focal_crossentropy"), tmp_path)
    compiled, usual = trained(once, tmp_path), trained(a_job(data, "dense").with_fit(epochs=1), tmp_path)

    losses = [each.trained.end.metrics["loss"] for each in (named, compiled, usual)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1] < 0.6 * losses[2]


def test_what_is_published_is_served_by_core_operations_alone(data: Path, tmp_path: Path) -> None:
    extra = code(tmp_path, "usual_models.py", MODELS)
    trained_well(a_job(data, "dense"), tmp_path, accuracy=0.9, extra=extra)

    unseen = rows(100, seed=6)
    sent: dict[str, Any] = {name: [row[name] for row in unseen] for name in FEATURES}
    numbers = {name: np.array(sent[name], np.float32) for name in ("a", "b")}
    assert served_accuracy(tmp_path, sent | numbers, [row["two"] for row in unseen]) > 0.9


@pytest.mark.parametrize(
    ("function", "task", "fit", "message"),
    [
        (
            "subclass",
            "binaryClassification",
            {},
            "subclass of keras.Model cannot be changed from outside: leave sigmoid",
        ),
        ("subclass_inside", "binaryClassification", {}, "is a subclass of keras.Model): leave sigmoid out of"),
        ("more_than_sigmoid", "binaryClassification", {}, "does more with sigmoid than to end with it: leave sigmoid"),
        ("softmax_of_one", "binaryClassification", {}, "activation softmax, which does not fit task binaryClassific"),
        (
            "sigmoid_of_number",
            "regression",
            {},
            "has activation sigmoid, which does not fit task regression: expected none",
        ),
        (
            "twice",
            "binaryClassification",
            {},
            "(from_logits=True), but the last layer 'last' has activation sigmoid",
        ),
        (
            "never",
            "binaryClassification",
            {},
            "of probabilities, but the last layer 'last' has no activation sigmoid",
        ),
        (
            "other_loss",
            "binaryClassification",
            {},
            "loss mean_squared_error for task binaryClassification: expected one of",
        ),
        ("misspelt_loss", "binaryClassification", {}, "binary_crosentropy; did you mean 'binary_crossentropy'?"),
        ("own_loss", "binaryClassification", {}, "a loss of your own needs program.container"),
        (
            "smoothed",
            "binaryClassification",
            {},
            "loss BinaryCrossentropy with another label_smoothing than Keras' default",
        ),
        ("wide_huber", "regression", {}, "loss Huber with another delta than Keras' default"),
        ("weighted", "binaryClassification", {}, "compiled with loss_weights 2.0: leave it out"),
        (
            "dense",
            "binaryClassification",
            {"loss": "binary_focal_crossentropy"},
            "fit.loss is binary_focal_crossentropy, but the model is compiled with loss binary_crossentropy: leave one",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1:UserWarning")
def test_a_contradiction_is_bad_input_that_says_what_to_change(
    function: str, task: str, fit: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    result = train(a_job(data, function, task).with_fit(**fit), tmp_path, "usual_models.py", MODELS)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput"), result.stderr
    assert message in result.report["message"]
    assert "entryPoint usual_models:" in result.report["message"] or fit
