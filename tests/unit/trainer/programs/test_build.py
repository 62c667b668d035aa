"""What a program may return, and what it is told before anything is trained."""

from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainyard_api.code import PythonProgram
from trainyard_trainer.errors import BadInput
from trainyard_trainer.programs.build import UserModel, build_python
from trainyard_trainer.programs.data_spec import DataSpec, Input

NUMBERS = {"dense_features": Input((3,), "float32")}
TABLE = NUMBERS | {"slots": Input((2,), "int32", slots=8)}
HEADER = "import keras\nimport tensorflow as tf\nfrom keras import layers\n"
FUNCTIONAL = "return keras.Model(inputs, layers.Dense(data.outputs)(inputs['dense_features']))"


def built(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, inputs: Any = NUMBERS) -> UserModel:
    """Build the model of a module's function `build`."""
    name = f"program_{abs(hash(source)) % 10**8}"
    (folder / f"{name}.py").write_text(HEADER + source)
    monkeypatch.syspath_prepend(str(folder))
    program = PythonProgram.model_validate(
        {"entryPoint": f"{name}:build", "task": "binaryClassification", "source": {"configMap": {"name": "code"}}}
    )
    return build_python(program, DataSpec("binaryClassification", ("a", "b", "c"), inputs, 1, ("no", "yes")))


def a_class(method: str) -> str:
    return f"""
class Own(keras.Model):
    def {method}(self, *args, **kwargs):
        raise RuntimeError("it was called")

def build(data):
    inputs = data.keras_inputs()
    return Own(inputs, layers.Dense(data.outputs)(inputs["dense_features"]))
"""


@pytest.mark.parametrize(
    "method", ["train_step", "test_step", "compute_loss", "compute_metrics", "fit", "evaluate", "predict_step"]
)
def test_a_training_of_its_own_is_refused(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=rf"returned a Own with a {method} of its own: .*program\.container"):
        built(tmp_path, monkeypatch, a_class(method))


def test_a_training_step_put_on_the_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
def build(data):
    inputs = data.keras_inputs()
    model = keras.Model(inputs, layers.Dense(data.outputs)(inputs["dense_features"]))
    model.train_step = lambda batch: {}
    return model
"""
    with pytest.raises(BadInput, match="with a train_step of its own"):
        built(tmp_path, monkeypatch, source)


NUMBERS_OF_OTHERS = [
    pytest.param("keras.mixed_precision.set_global_policy('mixed_float16')", "float16", id="mixed policy"),
    pytest.param("keras.config.set_dtype_policy('bfloat16')", "bfloat16", id="pure policy"),
]


@pytest.mark.parametrize(("line", "dtype"), NUMBERS_OF_OTHERS)
def test_layers_in_other_numbers_are_refused_and_the_setting_is_put_back(
    line: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source = f"def build(data):\n    {line}\n    inputs = data.keras_inputs()\n    {FUNCTIONAL}\n"

    with pytest.raises(BadInput, match=rf"computes in {dtype} .*fit\.precision"):
        built(tmp_path, monkeypatch, source)

    assert keras.config.dtype_policy().name == "float32"
    assert "was set to" in capfd.readouterr().err


def test_floats_of_64_bits_are_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "keras.config.set_floatx('float64')"
    source = f"def build(data):\n    {line}\n    inputs = data.keras_inputs()\n    {FUNCTIONAL}\n"

    model = built(tmp_path, monkeypatch, source)

    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize(
    "line",
    [
        "keras.mixed_precision.set_global_policy('mixed_float16')",
        "keras.config.set_floatx('float64')",
        "keras.config.set_image_data_format('channels_first')",
        "keras.config.set_epsilon(0.5)",
        "keras.utils.set_random_seed(1)",
        "tf.config.run_functions_eagerly(True)",
    ],
)
def test_what_a_module_sets_at_its_top_is_put_back_before_it_builds(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cast(Any, np.random.get_state())[1].tolist()

    model = built(
        tmp_path, monkeypatch, f"{line}\ndef build(data):\n    inputs = data.keras_inputs()\n    {FUNCTIONAL}\n"
    )

    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.epsilon() == 1e-7
    assert cast(Any, np.random.get_state())[1].tolist() == before
    assert not tf.config.functions_run_eagerly()


@pytest.mark.parametrize(
    "lookup",
    [
        "layers.IntegerLookup(vocabulary=list(range(8)), output_mode='multi_hot')(inputs['slots'])",
        "layers.StringLookup(vocabulary=['0', '1'], output_mode='multi_hot')(keras.layers.Lambda(tf.strings.as_string, "
        "output_shape=(2,), dtype='string')(inputs['slots']))",
    ],
)
def test_lookup_tables_are_exported_with_the_model(
    lookup: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"""
def build(data):
    inputs = data.keras_inputs()
    hot = {lookup}
    return keras.Model(inputs, layers.Dense(data.outputs)(layers.Concatenate()([hot, inputs["dense_features"]])))
"""
    model = built(tmp_path, monkeypatch, source, TABLE)

    assert len(model.resources) >= 1


def test_what_cannot_be_exported_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
TABLE = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.range(8), tf.range(8.0)), 0.0)

class Look(layers.Layer):
    def call(self, slots):
        return TABLE.lookup(slots)

def build(data):
    inputs = data.keras_inputs()
    return keras.Model(inputs, layers.Dense(data.outputs)(Look()(inputs["slots"])))
"""
    with pytest.raises(BadInput, match=r"the model of program\.python\..* cannot be exported: AssertionError"):
        built(tmp_path, monkeypatch, source, {"slots": TABLE["slots"]})


CALLS = """
class Own(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.last = layers.Dense(outputs)

    def call(self, inputs, training=False):
        return self.last(inputs["dense_features"])

def build(data):
    return Own(data.outputs)
"""


@pytest.mark.parametrize("inputs", [NUMBERS, TABLE], ids=["one input", "two inputs"])
def test_a_subclass_is_given_a_dictionary_whatever_the_data_has(
    inputs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = built(tmp_path, monkeypatch, CALLS, inputs)

    assert model({name: tf.zeros([2, *each.shape], each.dtype) for name, each in inputs.items()}).shape == (2, 1)


def test_a_sequential_is_given_the_one_input_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = built(
        tmp_path, monkeypatch, "def build(data):\n    return keras.Sequential([layers.Dense(data.outputs)])\n"
    )

    assert model({"dense_features": tf.zeros([2, 3])}).shape == (2, 1)


def test_a_message_has_no_escape_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput) as raised:
        built(tmp_path, monkeypatch, CALLS.replace("dense_features", "none"))

    assert str(raised.value).isprintable()
    assert "[1m" not in str(raised.value)
