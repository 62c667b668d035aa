"""Runs the trainer in tests: in this process, where TensorFlow is loaded once, or in one that can be killed."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainyard_api import names
from trainyard_trainer.__main__ import TrainerProcess
from trainyard_trainer.export.verify import Verifier


@dataclass(frozen=True)
class SpecBuilder:
    """A TrainingJob as a person would write it, changed one thing at a time."""

    manifest: dict[str, Any]

    def named(self, name: str) -> "SpecBuilder":
        return SpecBuilder(self.manifest | {"metadata": {"name": name, "uid": f"uid-of-{name}"}})

    def with_keras(self, **fields: Any) -> "SpecBuilder":
        program = self.manifest["spec"]["program"]["keras"] | fields
        if program.get("family") in ("linear", "svm") and "hidden" not in fields:
            program.pop("hidden", None)  # a mlp's, which the specs of tests begin with
        return self._with("program", {"keras": program})

    def with_fit(self, **fields: Any) -> "SpecBuilder":
        return self._with("fit", self.manifest["spec"]["fit"] | fields)

    def with_data(self, **fields: Any) -> "SpecBuilder":
        return self._with("data", self.manifest["spec"]["data"] | fields)

    def with_program(self, **program: Any) -> "SpecBuilder":
        return self._with("program", program)

    def with_output(self, **fields: Any) -> "SpecBuilder":
        return self._with("output", self.manifest["spec"]["output"] | fields)

    def with_store(self, uri: str) -> "SpecBuilder":
        return self._with("output", {"store": {"uri": uri}})

    def with_checkpoint(self, **fields: Any) -> "SpecBuilder":
        return self._with("checkpoint", fields)

    def with_tuning(self, **fields: Any) -> "SpecBuilder":
        return self._with("tuning", fields)

    def with_privacy(self, **fields: Any) -> "SpecBuilder":
        return self._with("privacy", fields)

    def _with(self, part: str, value: Any) -> "SpecBuilder":
        return SpecBuilder(self.manifest | {"spec": self.manifest["spec"] | {part: value}})

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.manifest['metadata']['name']}.json"
        path.write_text(json.dumps(self.manifest))
        return path


def a_spec(data: Path, *, label: str = "label", task: str = "binaryClassification") -> SpecBuilder:
    """Start from a small training on the data at a path."""
    return SpecBuilder(
        {
            "apiVersion": "trainyard.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": "sample", "uid": "uid-of-sample"},
            "spec": {
                "program": {"keras": {"task": task, "hidden": [8]}},
                "data": {"source": {"uri": str(data)}, "label": label, "validation": {"fraction": 0.2}},
                "fit": {"epochs": 3, "batchSize": 8, "optimizer": {"name": "adam", "learningRate": 0.01}},
                "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
            },
        }
    )


def a_tree_spec(data: Path, family: str, *, task: str = "binaryClassification", **knobs: Any) -> SpecBuilder:
    """Start from small trees on the data at a path."""
    spec = a_spec(data)._with("program", {"keras": {"family": family, "task": task, "numTrees": 30} | knobs})
    return spec._with("fit", {})


def write_table(path: Path) -> Path:
    """Write 120 rows: numbers, one of them missing at times, a text, and a label that follows from them."""
    rng = np.random.default_rng(7)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["size", "weight", "colour", "count", "label"])
        for row in range(120):
            size, weight = rng.normal(size=2)
            colour = ["red", "green", "blue"][row % 3]
            good = size + (colour == "red") > 0.3
            shown = "" if row % 10 == 3 else f"{weight:.4f}"
            writer.writerow([f"{size:.4f}", shown, colour, row // 2, "good" if good else "bad"])
    return path


def write_mixed_rows(path: Path, count: int, label: Callable[[float, float, str, np.random.Generator], bool]) -> Path:
    """Write rows with two numbers, a category, and a label that follows from them."""
    rng = np.random.default_rng(2)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["a", "b", "c", "label"])
        for _ in range(count):
            a, b, c = rng.normal(), rng.normal(), rng.choice(["x", "y", "z"])
            writer.writerow([a, b, c, int(label(a, b, c, rng))])
    return path


def a_stateful_spec(path: Path, *, epochs: int) -> SpecBuilder:
    """Seconds of training with everything that has a state: dropout, categories, adam, schedule, the best weights."""
    write_mixed_rows(path, 2000, lambda a, b, c, rng: a * b + (c == "x") + rng.normal() / 2 > 0)
    return (
        a_spec(path)
        .with_keras(hidden=[16, 8], dropout=0.2)
        .with_fit(optimizer={"name": "adam", "learningRate": 0.01, "schedule": {"name": "cosineDecay"}})
        .with_fit(epochs=epochs, stopWhen={"noImprovement": {"metric": "val_loss", "epochs": epochs}})
        .with_checkpoint(everySteps=100, keep=2)
    )


@dataclass(frozen=True)
class Result:
    """What a run of the trainer left behind."""

    code: int
    report: dict[str, Any]
    events: list[dict[str, Any]]
    stderr: str

    def the(self, event: str) -> dict[str, Any]:
        (only,) = [each for each in self.events if each["event"] == event]
        return only


def environment(folder: Path, model: str = "sample") -> dict[str, str]:
    """Return the environment of a pod whose store is `folder`/store."""
    return {
        names.MODEL_DIR_ENV: str(folder / "store" / model),
        names.TERMINATION_MESSAGE_ENV: str(folder / "termination-log"),
    }


_verifiers: list[Verifier] = []


@contextlib.contextmanager
def shared_verifier() -> Iterator[Verifier]:
    """Yield one process for the exports of all tests: a fresh one each takes most of the time of a small training."""
    if not _verifiers or not _verifiers[-1].alive:
        _verifiers.append(Verifier())
    yield _verifiers[-1]


def end_verifiers() -> None:
    """End the processes that tests have shared."""
    while _verifiers:
        with _verifiers.pop():
            pass


def run(
    spec: SpecBuilder,
    folder: Path,
    extra: Mapping[str, str] | None = None,
    *,
    verifier: Callable[[], AbstractContextManager[Verifier]] = shared_verifier,
) -> Result:
    """Run the trainer in this process, with a store in `folder`."""
    env = environment(folder, spec.manifest["spec"].get("modelName") or spec.manifest["metadata"]["name"])
    out, err = io.StringIO(), io.StringIO()
    with _signals_kept(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = TrainerProcess(env | dict(extra or {}), verifier=verifier).run(str(spec.write(folder)))
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    return Result(code, json.loads((folder / "termination-log").read_text()), events, err.getvalue())


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    kept = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in kept.items():
            signal.signal(each, handler)


def start(spec: SpecBuilder, folder: Path, extra: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start the trainer as a process of its own; its events come on stdout."""
    return subprocess.Popen(
        [sys.executable, "-m", "trainyard_trainer", str(spec.write(folder))],
        env=os.environ | environment(folder) | dict(extra or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def stop_at_checkpoint(folder: Path) -> Iterator[None]:
    """Ask this process to stop, as a node does, once a training in `folder` has written its first checkpoint."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            if any((folder / "store").rglob("*.ckpt")):
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def weights(folder: Path) -> dict[str, Any]:
    """Return the weights of the one model version in a store, by name."""
    import tensorflow as tf

    (version,) = (folder / "store").glob("*/1")
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT" not in name}


def kinds_of_operations(version: Path) -> set[str]:
    """Return the operations that the graph of a model version is made of."""
    from tensorflow.core.protobuf import saved_model_pb2

    (graph,) = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes()).meta_graphs
    functions = [node.op for function in graph.graph_def.library.function for node in function.node_def]
    return {node.op for node in graph.graph_def.node} | set(functions)
