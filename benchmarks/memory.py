"""Peak memory while streaming a data set several times larger than what may be kept: `python benchmarks/memory.py`.

Three trainers, each a process of its own on the network of dense-100: one with few rows, which is what TensorFlow
and the trainer take by themselves; one that streams; and one that may keep everything. What counts is by how much the
second one's peak (the kernel's ru_maxrss) exceeds the first one's of the same round, in units of the cap.

Ends with exit code 1 where streaming takes more than `--at-most` caps in any round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from trainyard_api import names
from trainyard_trainer.spec import CACHE_ENV

EXAMPLE = Path(__file__).parents[1] / "examples" / "dense-100"
COLUMNS = 100
ROW_BYTES = 4 * (COLUMNS + 1)
GROUP_ROWS = 65_536
MIB = 1 << 20


def write(path: Path, rows: int) -> None:
    """Write random rows, row group by row group."""
    rng = np.random.default_rng(5)
    schema = pa.schema([*((f"x{i:03}", pa.float32()) for i in range(COLUMNS)), ("label", pa.int8())])
    with pq.ParquetWriter(path, schema, compression="none") as writer:
        for begin in range(0, rows, GROUP_ROWS):
            count = min(GROUP_ROWS, rows - begin)
            numbers = rng.normal(size=(COLUMNS, count)).astype(np.float32)
            labels = (numbers[0] > 0).astype(np.int8)
            writer.write_table(pa.table([*numbers, labels], schema=schema))


def peak(data: Path, cache: int, folder: Path) -> int:
    """Train one epoch in a process of its own; returns its peak memory in bytes."""
    document = yaml.safe_load((EXAMPLE / "trainingjob.yaml").read_text())
    document["metadata"]["uid"] = folder.name
    document["spec"]["data"] |= {"source": {"uri": str(data)}, "label": "label", "validation": {"fraction": 0}}
    document["spec"]["fit"] |= {"epochs": 1, "batchSize": 256}
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(document))
    env = os.environ | {CACHE_ENV: str(cache), names.MODEL_DIR_ENV: str(folder / "model")}
    process = subprocess.Popen(
        [sys.executable, "-m", "trainyard_trainer", str(folder / "spec.json")], env=env, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the trainer ended with exit code {process.returncode}")
    return usage.ru_maxrss * 1024


def spread(sizes: list[int], unit: int) -> str:
    """Return the median and the extremes of sizes, in a unit."""
    digits = 0 if unit == MIB else 2
    low, middle, high = (f"{each / unit:,.{digits}f}" for each in (min(sizes), statistics.median(sizes), max(sizes)))
    return f"{middle} [{low}, {high}]"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure the trainer's memory while it streams.")
    parser.add_argument("--cap", type=int, default=128, help="MiB of rows that may be kept")
    parser.add_argument("--times", type=int, default=5, help="size of the data set in caps")
    parser.add_argument("--at-most", type=float, default=3.0, help="caps that streaming may take")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cap = arguments.cap * MIB
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "few.parquet", 2_000)
        write(folder / "many.parquet", arguments.times * cap // ROW_BYTES)
        found: dict[str, list[int]] = {"bare": [], "streamed": [], "kept": []}
        for number in range(arguments.rounds):
            bare = peak(folder / "few.parquet", cap, folder / f"bare-{number}")
            found["bare"].append(bare)
            found["streamed"].append(peak(folder / "many.parquet", cap, folder / f"streamed-{number}") - bare)
            everything = 2 * arguments.times * cap
            found["kept"].append(peak(folder / "many.parquet", everything, folder / f"kept-{number}") - bare)
    print(f"TensorFlow and the trainer alone: {spread(found['bare'], MIB)} MiB")
    print(f"{arguments.times * arguments.cap:,} MiB of rows, of which {arguments.cap} MiB may be kept:")
    for way in ("streamed", "kept"):
        print(f"  {way:8} {spread(found[way], MIB)} MiB more: {spread(found[way], cap)} times the cap")
    good = max(found["streamed"]) <= arguments.at_most * cap
    print("good" if good else f"NOT GOOD: expected at most {arguments.at_most} times the cap")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
