"""Programs of a user's own: what works, and which line of theirs is named where it does not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.trainer_runs import Result, SpecBuilder, a_spec, run
from trainyard_api import names

GOOD = """
import keras
import tensorflow as tf
from trainyard_trainer import DataSpec

def build(data: DataSpec, *, units: int = 8, layers: int = 1, sizes: list[int] = ()) -> keras.Model:
    inputs = data.keras_inputs()
    vectors = keras.layers.Embedding(data.inputs["slots"].slots, 4)(inputs["slots"])
    x = keras.layers.Concatenate()([inputs["dense_features"], keras.layers.Flatten()(vectors)])
    for _ in range(layers):
        x = keras.layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(data.outputs)(x))

def compiled(data):
    model = build(data)
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.05, momentum=0.9))
    return model

def with_loss(data):
    model = build(data)
    model.compile(loss="mse")
    return model

def raises(data):
    size = 1
    raise ValueError("too many moons")

def offline(data):
    raise ConnectionError("no route to the weights")

def nothing(data):
    pass

def too_wide(data):
    inputs = data.keras_inputs()
    return keras.Model(inputs, keras.layers.Dense(3)(inputs["dense_features"]))

class Passing(keras.layers.Layer):
    def __init__(self, through):
        super().__init__()
        self._through = through

    def call(self, x):
        return x + self._through(x)

def through(data, what):
    inputs = data.keras_inputs()
    return keras.Model(inputs, keras.layers.Dense(data.outputs)(Passing(what)(inputs["dense_features"])))

def into_python(data):
    def doubled(x):
        result = tf.numpy_function(lambda each: 2 * each, [x], tf.float32)
        result.set_shape(x.shape)
        return result

    return through(data, doubled)

def from_a_file(data):
    return through(data, lambda x: 0 * tf.cast(tf.strings.length(tf.io.read_file(__file__)), x.dtype))

def to_a_file(data):
    def written(x):
        tf.io.write_file("/dev/null", tf.strings.as_string(tf.reduce_sum(x)))
        return x

    return through(data, written)

def printed_in_a_branch(data):
    def shown(x):
        def both():
            tf.print(x)
            return x

        return tf.cond(tf.reduce_sum(x) > 1e9, both, lambda: x)

    return through(data, shown)

def at_random(data):
    return through(data, lambda x: 1e-9 * tf.random.normal(tf.shape(x)))

def sequential(data):
    return keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(data.outputs)])
"""


def a_program(table: Path, function: str = "build", **fields: Any) -> SpecBuilder:
    program = {
        "entryPoint": f"moons_model:{function}",
        "task": "binaryClassification",
        "source": {"configMap": {"name": "code"}},
    }
    return a_spec(table).with_program(python=program | fields)


def train(spec: SpecBuilder, folder: Path, code: str = GOOD) -> Result:
    modules = folder / "code"
    modules.mkdir()
    (modules / "moons_model.py").write_text(code)
    return run(spec, folder, {names.CODE_DIR_ENV: str(modules)})


def test_a_function_builds_the_model_and_all_else_is_the_trainers(table: Path, tmp_path: Path) -> None:
    spec = a_program(table, hyperparameters={"units": 16, "layers": 2, "sizes": [1, 2]}).with_fit(epochs=40)

    result = train(spec, tmp_path)

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.9
    assert result.the("model")["parameters"] == 5 * 4 + (4 + 4) * 16 + 16 + 16 * 16 + 16 + 16 + 1
    manifest = json.loads((tmp_path / "store/sample/1" / names.MANIFEST_FILE).read_text())
    assert (manifest["training"]["family"], manifest["code"]["entryPoint"]) == ("python", "moons_model:build")
    assert manifest["code"]["hyperparameters"] == {"units": 16, "layers": 2, "sizes": [1, 2]}
    assert (manifest["code"]["configMap"], len(manifest["code"]["sha256"])) == ("code", 64)


def test_the_optimizer_of_a_compiled_model_is_used(table: Path, tmp_path: Path) -> None:
    result = train(a_program(table, "compiled").with_fit(epochs=1), tmp_path)

    assert result.code == 0, result.stderr
    history = next((tmp_path / "store").rglob("history.csv")).read_text().splitlines()
    assert float(dict(zip(*(line.split(",") for line in history), strict=True))["learning_rate"]) == pytest.approx(0.05)


WITHOUT_DETERMINISM = """
import keras
import tensorflow as tf

@tf.custom_gradient
def refused(rows):
    def gradient(upstream):
        # In the words of TensorFlow's kernels for GPUs.
        raise tf.errors.UnimplementedError(None, None, "%s")
    return tf.identity(rows), gradient

class Refused(keras.layers.Layer):
    def call(self, rows):
        return refused(rows)

def build(data):
    inputs = data.keras_inputs()
    return keras.Model(inputs, keras.layers.Dense(1)(Refused()(keras.layers.Dense(4)(inputs["dense_features"]))))
"""


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (
            "A deterministic GPU implementation of DepthwiseConvBackpropFilter is not currently available.",
            names.EXIT_BAD_INPUT,
            "use another operation, or train on a CPU (spec.roles.worker.gpus: 0), or bring the whole program as",
        ),
        ("The Conv2D op currently only supports the NHWC tensor format", 1, "UnimplementedError"),
    ],
    ids=["not deterministic", "not there at all"],
)
def test_an_operation_that_cannot_be_computed_twice_alike_is_bad_input_that_says_what_to_change(
    said: str, code: int, words: str, table: Path, tmp_path: Path
) -> None:
    result = train(a_program(table), tmp_path, WITHOUT_DETERMINISM % said)

    assert result.code == code
    assert words in result.report["message"]
    assert said in result.report["message"]


def test_a_model_of_one_input_may_be_sequential(table: Path, tmp_path: Path) -> None:
    result = train(a_program(table, "sequential").with_data(features=["size", "count"]), tmp_path)

    assert result.code == 0, result.stderr


def bad(function: str, message: str, change: Callable[[SpecBuilder], SpecBuilder] = lambda spec: spec) -> Any:
    return pytest.param(function, change, message, id=function)


@pytest.mark.parametrize(
    ("function", "change", "message"),
    [
        bad("biuld", "module moons_model has no function 'biuld'; did you mean 'build'?"),
        bad("raises", "entryPoint moons_model:raises failed: ValueError at moons_model.py:26: too many moons"),
        bad("nothing", "entryPoint moons_model:nothing returned nothing; expected a keras.Model"),
        bad("too_wide", "has outputs of shape ('rows', 3); expected ('rows', 1) for task binaryClassification"),
        bad("with_loss", "compiled with loss mean_squared_error for task binaryClassification: expected one of"),
        bad(
            "build",
            "moons_model:build at moons_model.py:6 cannot be called: got an unexpected keyword argument 'unit'",
            lambda spec: spec.with_program(
                python=spec.manifest["spec"]["program"]["python"] | {"hyperparameters": {"unit": 3}}
            ),
        ),
    ],
)
def test_what_is_wrong_with_the_function_is_bad_input(
    function: str, change: Callable[[SpecBuilder], SpecBuilder], message: str, table: Path, tmp_path: Path
) -> None:
    result = train(change(a_program(table, function)), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput"), result.stderr
    assert message in result.report["message"]


@pytest.mark.parametrize(
    ("function", "operations"),
    [
        ("into_python", "PyFunc"),
        ("from_a_file", "ReadFile"),
        ("to_a_file", "WriteFile"),
        ("printed_in_a_branch", "PrintV2"),
    ],
)
def test_a_model_that_does_more_than_compute_is_bad_input_before_it_is_trained(
    function: str, operations: str, table: Path, tmp_path: Path
) -> None:
    result = train(a_program(table, function), tmp_path)

    assert (result.code, result.report["reason"]) == (names.EXIT_BAD_INPUT, "BadInput"), result.stderr
    said = (
        f"the model of program.python.entryPoint moons_model:{function} uses {operations}: a served model may compute"
    )
    assert said in result.report["message"]
    assert result.report["steps"] == 0


def test_random_numbers_are_computed(table: Path, tmp_path: Path) -> None:
    result = train(a_program(table, "at_random").with_fit(epochs=1), tmp_path)

    assert result.code == 0, result.stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\nimport no_such_module\n", "cannot be imported: ModuleNotFoundError at moons_model.py:2"),
        ("def build(data:\n", "cannot be imported: SyntaxError at moons_model.py:1"),
        ("def helper():\n    return 1 / 0\nhelper()\n", "cannot be imported: ZeroDivisionError at moons_model.py:2"),
    ],
)
def test_a_module_that_cannot_be_imported_is_bad_input_before_the_data_is_read(
    code: str, message: str, tmp_path: Path
) -> None:
    result = train(a_program(tmp_path / "no-such-data.csv"), tmp_path, code)

    assert result.code == names.EXIT_BAD_INPUT
    assert message in result.report["message"]


def test_a_network_that_fails_in_the_function_is_worth_another_try(table: Path, tmp_path: Path) -> None:
    result = train(a_program(table, "offline"), tmp_path)

    assert (result.code, result.report["reason"]) == (1, "Failed")


def test_code_that_is_not_there_is_bad_input(table: Path, tmp_path: Path) -> None:
    assert "set $TRAINYARD_CODE_DIR" in run(a_program(table), tmp_path).report["message"]
    missing = run(a_program(table), tmp_path, {names.CODE_DIR_ENV: "/no/such/folder"})
    assert "/no/such/folder is none" in missing.report["message"]
