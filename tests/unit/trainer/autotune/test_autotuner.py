"""Trainings that settle their own batch size, precision and use of XLA."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from support.trainer_fits import checkpoint_folder, digest, fitted, rewrite
from support.trainer_runs import SpecBuilder, a_spec, run
from trainyard_api import names
from trainyard_api.fit import Fit
from trainyard_trainer.autotune.autotuner import settings_of_several
from trainyard_trainer.autotune.choices import Choices
from trainyard_trainer.devices import Devices
from trainyard_trainer.execution import Execution
from trainyard_trainer.stores.folder_checkpoints import Snapshot


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> SpecBuilder:
    """A training on enough rows for batches of 128."""
    rng = np.random.default_rng(2)
    path = tmp_path_factory.mktemp("data") / "rows.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*"abcd", "label"])
        for row in rng.normal(size=(3500, 4)):
            writer.writerow([*row, int(row.sum() > 0)])
    return a_spec(path).with_keras(hidden=[16], dropout=0.1).with_fit(epochs=6, batchSize="Auto")


def test_the_batch_size_is_found_and_a_resumed_training_keeps_it(wide: SpecBuilder, tmp_path: Path) -> None:
    spec = wide.with_checkpoint(everySteps=20, keep=100)
    undisturbed = fitted(spec, tmp_path)
    size = undisturbed.choices.batch_size
    for path in sorted(checkpoint_folder(tmp_path).iterdir())[1:]:
        path.unlink()

    resumed = fitted(spec, tmp_path)

    assert size in (32, 64, 128)
    assert undisturbed.the("settings")["batchSize"] == size
    assert undisturbed.trained.end.metrics["val_accuracy"] > 0.9
    assert resumed.the("resumed")["step"] == 20
    assert "as before the restart" in resumed.the("settings")["message"]
    assert (resumed.choices, resumed.digest) == (undisturbed.choices, undisturbed.digest)


def test_measuring_leaves_no_trace_in_the_weights(wide: SpecBuilder, tmp_path: Path) -> None:
    found = fitted(wide, tmp_path / "auto")
    told = fitted(
        wide.with_fit(
            batchSize=found.choices.batch_size,
            precision=found.choices.execution.precision,
            jitCompile=found.choices.execution.jit_compile,
        ),
        tmp_path / "told",
    )

    assert told.digest == found.digest


@pytest.mark.parametrize(
    ("asked", "found", "replicas", "limit", "expected"),
    [
        (48, None, 2, 1024, 48),
        ("Auto", None, 2, 1024, 64),
        ("Auto", None, 4, 64, 64),
        ("Auto", None, 3, 2, 3),
        ("Auto", 16, 2, 1024, 16),
    ],
    ids=["as told", "32 a device", "few rows", "a row for each", "as before the restart"],
)
def test_several_workers_settle_the_batch_size_without_measuring(
    asked: Any, found: int | None, replicas: int, limit: int, expected: int
) -> None:
    devices = cast(Devices, SimpleNamespace(strategy=SimpleNamespace(num_replicas_in_sync=replicas)))
    choices = Choices(found, Execution(), "CPU").to_wire() if found else {}
    snapshot = Snapshot(1, "plan", {"choices": choices}, {}) if found else None

    settings = settings_of_several(Fit(batch_size=asked), snapshot, devices=devices, limit=limit, workers=replicas)

    assert settings.batch_size == expected


@pytest.mark.parametrize("settings", [{"precision": "mixed_bfloat16"}, {"jitCompile": True}], ids=str)
def test_trained_in_any_way_the_model_is_exported_in_float32_and_answers_as_in_training(
    settings: dict[str, object], table: Path, tmp_path: Path
) -> None:
    result = run(a_spec(table).with_fit(epochs=60, **settings), tmp_path)

    assert result.code == 0, result.stderr
    assert result.report["metrics"]["val_accuracy"] > 0.9
    folder = tmp_path / "store" / "sample" / "1"
    (graph,) = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    nodes = [node for function in graph.graph_def.library.function for node in function.node_def]
    types = {attribute.type for node in nodes for attribute in node.attr.values()}
    assert tf.float32.as_datatype_enum in types
    assert tf.bfloat16.as_datatype_enum not in types
    training = json.loads((folder / names.MANIFEST_FILE).read_text())["training"]
    assert settings.items() <= training.items()
    assert (training["batchSize"], training["device"]) == (8, "CPU")


def test_float16_without_a_gpu_is_bad_input(table: Path, tmp_path: Path) -> None:
    result = run(a_spec(table).with_fit(precision="mixed_float16"), tmp_path)

    assert result.code == names.EXIT_BAD_INPUT
    assert "use Auto, float32 or mixed_bfloat16" in result.report["message"]


def test_a_training_that_comes_back_on_another_device_measures_again_and_says_so(table: Path, tmp_path: Path) -> None:
    spec = a_spec(table).with_fit(batchSize="Auto").with_checkpoint(everySteps=5, keep=2)
    first = fitted(spec, tmp_path)
    gpu = replace(first.choices, device="1 x NVIDIA H100", execution=Execution("mixed_bfloat16", True))
    rewrite(tmp_path, choices=gpu.to_wire())

    again = fitted(spec, tmp_path)

    assert "now on CPU, before on 1 x NVIDIA H100" in again.the("settings")["message"]
    assert again.choices == replace(first.choices, execution=Execution())
    assert digest(again.trained.model) == first.digest


ON_TWO_DEVICES = """
import sys
from pathlib import Path

import keras
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from support.trainer_fits import fitted
from support.trainer_runs import SpecBuilder
from trainyard_trainer.devices import Devices
from trainyard_trainer.spec import read_document


class TwoDevices(Devices):
    def __init__(self, seed):
        super().__init__(seed)
        self.strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        self.has_bfloat16 = True


folder = Path(sys.argv[1])
spec = SpecBuilder(read_document(folder / "sample.json"))


def trained(name, **settings):
    (folder / name).mkdir()
    return fitted(spec.with_fit(**settings), folder / name, devices=TwoDevices(seed=1))


measured = trained("measured")
found = measured.choices
assert found.batch_size in (64, 128), found
assert not found.execution.jit_compile, found
why = measured.the("settings")["message"]
assert "measured: mixed_bfloat16 without XLA is" in why, why
told = trained("told", batchSize=found.batch_size, precision=found.execution.precision)
assert (told.choices, told.digest) == (found, measured.digest)
low = trained("low", precision="mixed_bfloat16").trained.model
assert {each.dtype_policy.name for each in low.layers} == {"float32"}
print("measured")
"""


@pytest.mark.thorough
def test_several_devices_of_one_process_are_measured_together(wide: SpecBuilder, tmp_path: Path) -> None:
    # So many epochs are expected that trying is worth it; after the first one the loss is low enough.
    wide = wide.with_keras(normalization="batchNormalization")
    wide.with_fit(epochs=100_000, stopWhen={"lossBelow": 1e9}).write(tmp_path)

    # In a process of its own, because a process can be split into devices only before TensorFlow has started.
    command = [sys.executable, "-c", ON_TWO_DEVICES, str(tmp_path)]
    done = subprocess.run(command, cwd="tests", capture_output=True, text=True, timeout=240)

    assert done.stdout == "measured\n", done.stderr[-3000:]
