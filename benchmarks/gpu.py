"""ResNet-50 and a Transformer on a GPU, with and without what the trainer chooses: `python benchmarks/gpu.py`.

Both are programs of a user's own (`gpu_models.py`). One arm trains in float32 without XLA, the other with `precision`
and `jitCompile` left to the trainer. They take turns, epoch by epoch, on rows that lie in the GPU's memory. The speed
is told in samples a second and as a share of the hardware's peak: of what a large product of bfloat16 matrices reaches
on the same device, and of its maker's figure.

`--small` is for trying the benchmark itself: tiny models, without XLA, on whatever device there is.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case, write_texts
from pairs import WARM_UP, in_turns, ratio

from trainer import Settings, trainer_loop

PEAKS = {"V100": 125, "T4": 65, "A100": 312, "A10": 125, "L4": 121, "L40S": 362, "H100": 989, "H200": 989}
"""Dense half precision with float32 sums, in TFLOP/s, by the makers' data sheets (of the SXM parts)."""
AUTO = {"precision": "Auto"}
SMALL = AUTO | {"jitCompile": False}
PLAIN = {"precision": "float32", "jitCompile": False}
LONG = {"epochs": 100_000}
"""As trainings on a GPU are: what takes a minute to compile is worth it. The benchmark ends them after its rounds."""


@dataclass(frozen=True)
class Hardware:
    """The device that is trained on, and how many products and sums a second it can do."""

    name: str
    flops: float


def hardware(size: int, *, any_device: bool) -> Hardware | None:
    """Return the first GPU and its speed at products of square bfloat16 matrices, or the CPU where that will do."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and not any_device:
        return None
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else "CPU"
    one = tf.cast(tf.random.normal((size, size)), tf.bfloat16)
    times = 20

    @tf.function
    def products() -> Any:
        product = one
        for _ in tf.range(times):
            product = tf.matmul(product, one) * tf.cast(1 / size, tf.bfloat16)
        return tf.reduce_sum(product)

    products()
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        products().numpy()
        seconds.append(time.perf_counter() - began)
    return Hardware(name, 2 * size**3 * times / min(seconds))


def row_flops(case: Case, data: Path) -> int:
    """Return the floating-point operations to train on one row of a case."""
    import gpu_models

    from trainer import job
    from trainyard_api.code import PythonProgram
    from trainyard_trainer.encoding.encoders import encoder_for
    from trainyard_trainer.prepare import prepare
    from trainyard_trainer.programs.build import entry_point
    from trainyard_trainer.programs.inputs import describe_data
    from trainyard_trainer.reporting.event_log import EventLog
    from trainyard_trainer.reporting.progress_server import ProgressTracker
    from trainyard_trainer.spec import read_run
    from trainyard_trainer.tasks.task import task_for

    path = data.with_suffix(".json")
    path.write_text(json.dumps(job(Settings(case, data, rounds=1, batch_size=1))))
    run = read_run(str(path), {"TRAINYARD_MODEL_DIR": str(data.parent / "store")})
    assert isinstance(run.program, PythonProgram)
    with data.with_suffix(".log").open("w") as log:
        facts = prepare(run, tracker=ProgressTracker(), event_log=EventLog(log)).profile
    inputs, outputs = encoder_for(facts.features).inputs, task_for(facts.labels, run.program).outputs
    spec = describe_data(run.program.task, facts, inputs, outputs)
    return gpu_models.training_flops(entry_point(run.program)(spec, **run.program.hyperparameters))


def write_images(path: Path, rows: int, *, side: int) -> None:
    """Write images whose brightness is their class."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 4, rows)
    images = rng.integers(0, 64, (rows, side, side, 3), np.uint8) + 48 * labels[:, None, None, None].astype(np.uint8)
    np.savez(path, image=images, label=labels)


def _python(name: str, task: str, *, hyperparameters: Mapping[str, int], **reads: Any) -> dict[str, Any]:
    source = {"source": {"image": "benchmarks"}, "hyperparameters": dict(hyperparameters)}
    return {"python": {"entryPoint": f"gpu_models:{name}", "task": task} | source | reads}


def cases(small: bool) -> dict[str, tuple[Case, int]]:
    """Return the cases, and the batch size of each."""
    side, length, scale = (32, 16, 64) if small else (224, 256, 1)
    layers = {"layers": 1, "width": 32, "heads": 2} if small else {}
    images = _python("resnet50", "multiclassClassification", hyperparameters={}, image={"height": side, "width": side})
    texts = _python(
        "transformer", "binaryClassification", hyperparameters=layers, text={"outputSequenceLength": length}
    )
    return {
        "ResNet-50": (Case(4_096 // scale, ".npz", partial(write_images, side=side), images), 128 // scale * 2),
        "Transformer": (Case(8_192 // scale, ".parquet", partial(write_texts, length=length), texts), 64 // scale * 8),
    }


def in_process(function: Any, *arguments: Any) -> Any:
    """Call a function in a process of its own, which gives the device's memory back."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(
    name: str, case: Case, batch_size: int, *, device: Hardware, rounds: int, auto: Mapping[str, Any] = AUTO
) -> None:
    """Measure one model and say what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "rows").with_suffix(case.suffix)
        case.write(data, case.rows)
        flops = in_process(row_flops, case, data)
        settings = {
            arm: Settings(case, data, rounds, batch_size, {**LONG, **fit}, data.with_suffix(f".{arm}"))
            for arm, fit in (("plain", PLAIN), ("auto", auto))
        }
        found = in_turns({arm: partial(_arm, settings=each) for arm, each in settings.items()}, None, rounds)
        chosen = {arm: _chosen(each.log) for arm, each in settings.items()}
    print(f"{name}: {flops / 1e9:.3g} GFLOP to train on a row, batches of {batch_size}")
    for arm, each in found.items():
        speed = case.rows / statistics.median(each.warm)
        shares = f"{speed * flops / device.flops:.1%} of the measured peak"
        if maker := next((peak for part, peak in PEAKS.items() if part in device.name.split()[-1].split("-")), None):
            shares += f", {speed * flops / maker / 1e12:.1%} of the maker's"
        print(f"  {arm:6} {speed:10,.0f} samples/s, {speed * flops / 1e12:.3g} TFLOP/s: {shares}; {chosen[arm]}")
    print(f"  auto / plain: {ratio(found['plain'].warm, found['auto'].warm)}")


def _arm(connection: Any, _: None, *, settings: Settings) -> None:
    trainer_loop(connection, settings)


def _chosen(log: Path) -> str:
    (line,) = [each for each in map(json.loads, log.read_text().splitlines()) if each["event"] == "settings"]
    return str(line["message"])


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure what the trainer's own choices bring on a GPU.")
    parser.add_argument("--rounds", type=int, default=12, help=f"epochs; the first {WARM_UP} do not count")
    parser.add_argument("--small", action="store_true", help="tiny models on any device: to try the benchmark itself")
    arguments = parser.parse_args()
    device: Hardware | None = in_process(
        partial(hardware, 512 if arguments.small else 8192, any_device=arguments.small)
    )
    if device is None:
        print("there is no GPU: nothing was measured")
        return 0
    print(f"{device.name}: {device.flops / 1e12:.3g} TFLOP/s by products of bfloat16 matrices")
    for name, (case, batch_size) in cases(arguments.small).items():
        measure(name, case, batch_size, device=device, rounds=arguments.rounds, auto=SMALL if arguments.small else AUTO)
    return 0


if __name__ == "__main__":
    sys.exit(main())
