"""Writes synthetic data for the dense-100 network: 100 numbers a row and a label that a neural network can learn.

    python examples/dense-100/generate.py --rows 32768 dense-100.parquet

The label is 1 where a small random network of tanh units, which a linear model cannot imitate, puts the row above its
median. The same seed writes the same rows. `.csv` writes CSV.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

FEATURES = 100


def generate(rows: int, seed: int) -> pa.Table:
    """Return a table with columns x000 to x099 (float32) and label (0 or 1)."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, FEATURES)).astype(np.float32)
    hidden = np.tanh(features @ rng.normal(size=(FEATURES, 4)) / np.sqrt(FEATURES) * 3)
    score = hidden @ rng.normal(size=4)
    columns = {f"x{i:03}": features[:, i] for i in range(FEATURES)}
    return pa.table(columns | {"label": (score > np.median(score)).astype(np.int8)})


def write(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, or as CSV where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        pa_csv.write_csv(table, path)
    else:
        pq.write_table(table, path)


def main() -> None:
    """Run the generator."""
    parser = argparse.ArgumentParser(description="Write synthetic data for the dense-100 network.")
    parser.add_argument("path", type=Path, help="file to write: .parquet or .csv")
    parser.add_argument("--rows", type=int, default=32_768)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    write(generate(arguments.rows, arguments.seed), arguments.path)


if __name__ == "__main__":
    main()
