"""Two workers next to one: `python benchmarks/workers.py`.

Each worker is a process with one core to itself, so two have twice the cores of one, as two pods have; they talk over
the loopback interface, which is quicker than a network between nodes. One and two train with the same batches of rows,
in turns. It tells what came of it and judges nothing: whether several workers pay depends on the model.
"""

import argparse
import csv
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cases import CASES
from pairs import ratio

EPOCHS = 6
CALM = 2
"""Epochs that trace and warm up, and do not count."""


@dataclass(frozen=True)
class Size:
    """A network for the rows of dense-100, and the rows of a batch of all workers together."""

    hidden: tuple[int, ...]
    batch_size: int
    rows: int


SIZES = {
    "dense-100": Size((128, 64), 32, 8_192),
    "wide": Size((1024, 1024), 4_096, 65_536),
}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure two workers against one.")
    parser.add_argument("--rounds", type=int, default=6, help="fewer give no interval of 95 %%")
    rounds = parser.parse_args().rounds
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("two workers need a core each, and there is one: nothing was measured")
        return 0
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder, "rows.parquet")
            CASES["dense-100"].write(data, size.rows)
            seconds: dict[int, list[float]] = {1: [], 2: []}
            for number in range(rounds):
                for workers in (1, 2) if number % 2 else (2, 1):
                    place = Path(folder, f"{number}-{workers}")
                    seconds[workers].append(epoch_seconds(size, data, place, cores[:workers]))
        print(f"{name}, batches of {size.batch_size}")
        for workers, each in seconds.items():
            print(f"  {workers} worker(s) {size.rows / statistics.median(each):10,.0f} samples/s")
        print(f"  two / one: {ratio(seconds[1], seconds[2])}")
    return 0


def epoch_seconds(size: Size, data: Path, folder: Path, cores: list[int]) -> float:
    """Train with a worker on each core; returns the median time of an epoch."""
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(_job(size, data)))
    with ExitStack() as ports:
        servers = [ports.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in cores]
        addresses = [f"localhost:{server.getsockname()[1]}" for server in servers]
    processes = []
    for index, core in enumerate(cores):
        own = folder / str(index)
        env = os.environ | {"TRAINYARD_MODEL_DIR": str(own / "model"), "TF_CPP_MIN_LOG_LEVEL": "2"}
        if len(cores) > 1:
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            env["TF_CONFIG"] = json.dumps(cluster)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "trainyard_trainer", str(folder / "spec.json")],
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=partial(os.sched_setaffinity, 0, {core}),
            )
        )
    said = [process.communicate()[1] for process in processes]
    for process, stderr in zip(processes, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"a worker ended with {process.returncode}: {stderr[-500:]}")
    (history,) = folder.rglob("history.csv")
    with history.open() as stream:
        return statistics.median(float(row["seconds"]) for row in list(csv.DictReader(stream))[CALM:])


def _job(size: Size, data: Path) -> dict[str, object]:
    case = CASES["dense-100"]
    return {
        "kind": "TrainingJob",
        "metadata": {"name": "workers"},
        "spec": {
            "program": {"keras": dict(case.program["keras"]) | {"hidden": list(size.hidden)}},
            "data": {"source": {"uri": str(data)}, "label": case.label, "validation": {"fraction": 0}},
            "fit": {"epochs": EPOCHS, "batchSize": size.batch_size, "jitCompile": False, "precision": "float32"},
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }


if __name__ == "__main__":
    sys.exit(main())
