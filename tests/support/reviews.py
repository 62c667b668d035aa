"""Texts whose class depends on words that stand together, for tests."""

import csv
from pathlib import Path
from typing import Any

import numpy as np


def reviews(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """Return texts and their classes: `very good` praises and `not good` does not, wherever it stands.

    Single words tell nothing: each of them is as frequent in one class as in the other. Half of the texts also have
    the misleading word at another place.
    """
    rng = np.random.default_rng(seed)
    noise = [f"word{i}" for i in range(100)]
    texts, classes = [], []
    for _ in range(count):
        good, negated = rng.integers(0, 2, 2)
        words = list(rng.choice(noise, rng.integers(3, 10)))
        place = rng.integers(0, len(words))
        words[place:place] = ["not" if negated else "Very", "good" if good else "bad,"]
        if rng.random() < 0.5:
            words[:0] = ["very" if negated else "Not", str(rng.choice(noise))]
        texts.append(" ".join(words))
        classes.append("praise" if good != negated else "complaint")
    return texts, classes


def write_reviews(path: Path, count: int, **columns: Any) -> Path:
    """Write reviews as CSV: `review`, `label`, and further columns by their values for all rows."""
    texts, classes = reviews(count)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["review", "label", *columns])
        writer.writerows(zip(texts, classes, *columns.values(), strict=True))
    return path
