"""Floating point numbers as TensorFlow Serving prints them."""

from typing import Any

import numpy as np


def format_floats(array: Any) -> list[str]:
    """Each value of a float32 or float64 array, flat, as JSON.

    Six significant digits where they come back as the same value, else all that the type can tell (9 or 17); always
    with a point or an exponent, so that a reader can tell it from an integer.
    """
    flat = array.ravel()
    values = flat.tolist()
    texts = [f"{value:g}" for value in values]
    finite = np.isfinite(flat)
    with np.errstate(over="ignore"):
        same = np.array([float(text) for text in texts], np.float64).astype(flat.dtype) == flat
    digits = 9 if flat.dtype == np.float32 else 17
    for index in np.flatnonzero(~same & finite).tolist():
        texts[index] = f"{values[index]:.{digits}g}"
    texts = [text if "." in text or "e" in text else f"{text}.0" for text in texts]
    for index in np.flatnonzero(~finite).tolist():
        value = values[index]
        texts[index] = "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return texts
