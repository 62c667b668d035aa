"""Discs, crosses and bars of all sizes, places and colours: easy for a cnn, hopeless for the mean of the pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

SIDE = 24
ENCODERS: dict[str, Callable[[Any], Any]] = {
    "png": tf.io.encode_png,
    "jpg": lambda pixels: tf.io.encode_jpeg(pixels, quality=95),
}


def draw(kind: str, rng: np.random.Generator) -> Any:
    """Return the pixels of a picture, uint8 [24, 24, 3]."""
    down, right = np.mgrid[:SIDE, :SIDE]
    y, x = rng.uniform(8, SIDE - 8, 2)
    radius = rng.uniform(4, 7)
    high, wide = abs(down - y), abs(right - x)
    inside = {
        "disc": high**2 + wide**2 < radius**2,
        "cross": (np.minimum(high, wide) < 1.5) & (np.maximum(high, wide) < radius),
        "bar": (high < 1.5) & (wide < radius),
    }[kind]
    pixels = rng.integers(0, 60, (SIDE, SIDE, 3))
    pixels[inside] = rng.integers(150, 255, 3)
    return pixels.astype(np.uint8)


def pictures(count: int, seed: int = 0, of: tuple[str, ...] = ("disc", "cross")) -> tuple[Any, list[str]]:
    """Return pixels, uint8 [count, 24, 24, 3], and their kinds in turns."""
    rng = np.random.default_rng(seed)
    kinds = [of[i % len(of)] for i in range(count)]
    return np.stack([draw(kind, rng) for kind in kinds]), kinds


def encoded(pixels: Any, format_: str = "png") -> list[bytes]:
    """Return pictures as files."""
    return [ENCODERS[format_](each).numpy() for each in pixels]


def write_folders(folder: Path, count: int = 200, seed: int = 0) -> Path:
    """Write pictures into a folder for each kind, half of them as PNG and half as JPEG."""
    for number, (pixels, kind) in enumerate(zip(*pictures(count, seed), strict=True)):
        suffix = ("png", "jpg")[number // 2 % 2]
        path = folder / kind / f"{number:04}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ENCODERS[suffix](pixels).numpy())
    return folder
