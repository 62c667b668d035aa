"""Size and time of the export next to Keras' own: `python benchmarks/export.py`.

Both write the same network in turns: the trainer with preprocessing and both signatures inside, Keras by
`model.export()`. What the trainer does further, the check in a fresh process and the manifest, is not part of it.

Ends with exit code 1 where the trainer's SavedModel is larger than Keras' by more than what its graphs take.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cases import CASES
from pairs import ratio

from trainyard_api.program import KerasProgram

GRAPHS_BYTES = 300_000
"""What preprocessing and a second signature may take beside the weights."""
HIDDEN = {"dense-100": [128, 64], "4 million weights": [2048, 2048]}
ROWS = 2_000


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure the export against model.export().")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    good = [compare(name, rounds) for name in HIDDEN]
    return 0 if all(good) else 1


def compare(name: str, rounds: int) -> bool:
    """Measure one model and say what came of it; returns whether the trainer's files are small enough."""
    with tempfile.TemporaryDirectory() as folder:
        arms = {"export": _keras(HIDDEN[name]), "trainer": _trainer(HIDDEN[name], Path(folder))}
        sizes, seconds = {}, {arm: [0.0] * rounds for arm in arms}
        for number in range(rounds + 1):
            for arm in list(arms)[:: 1 if number % 2 else -1]:
                target = Path(folder, f"{arm}-{number}")
                began = time.perf_counter()
                arms[arm](target)
                if number:  # the first round warms up
                    seconds[arm][number - 1] = time.perf_counter() - began
                sizes[arm] = sum(each.stat().st_size for each in target.rglob("*") if each.is_file())
    print(name)
    for arm in arms:
        print(f"  {arm:8} {sizes[arm] / 1e6:8.2f} MB  {min(seconds[arm]) * 1000:6.0f} ms at best")
    print(f"  export / trainer, time: {ratio(seconds['export'], seconds['trainer'])}")
    good = sizes["trainer"] <= sizes["export"] + GRAPHS_BYTES
    print("  good" if good else f"  NOT GOOD: expected at most {GRAPHS_BYTES:,} bytes more than Keras")
    return good


def _keras(hidden: list[int]) -> Callable[[Path], None]:
    import keras

    model = keras.Sequential([keras.Input((100,))])
    for units in hidden:
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    return lambda target: model.export(str(target), verbose=False)


def _trainer(hidden: list[int], folder: Path) -> Callable[[Path], None]:
    from trainyard_trainer.encoding.encoders import encoder_for
    from trainyard_trainer.export.saved_model import ServingModel, save
    from trainyard_trainer.models import FAMILIES
    from trainyard_trainer.prepare import prepare
    from trainyard_trainer.reporting.event_log import EventLog
    from trainyard_trainer.reporting.progress_server import ProgressTracker
    from trainyard_trainer.spec import read_run
    from trainyard_trainer.tasks.task import task_for

    case, data = CASES["dense-100"], folder / "rows.parquet"
    case.write(data, ROWS)
    program: dict[str, Any] = dict(case.program["keras"]) | {"hidden": hidden}
    spec = {
        "kind": "TrainingJob",
        "metadata": {"name": "export"},
        "spec": {
            "program": {"keras": program},
            "data": {"source": {"uri": str(data)}, "label": case.label},
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    run = read_run(str(folder / "spec.json"), {"TRAINYARD_MODEL_DIR": str(folder / "store")})
    with (folder / "log").open("w") as log:
        facts = prepare(run, tracker=ProgressTracker(), event_log=EventLog(log)).profile
    task, encoder = task_for(facts.labels, run.program), encoder_for(facts.features)
    assert isinstance(run.program, KerasProgram)
    model = FAMILIES[run.program.family](run.program, encoder.inputs, task.outputs)

    def write(target: Path) -> None:
        save(ServingModel(model, encoder, task), target)

    return write


if __name__ == "__main__":
    sys.exit(main())
