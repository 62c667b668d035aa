"""What a search came to, in words."""

from collections.abc import Mapping
from typing import Any

BEST_TOLD = 3
"""Trials named in the result; the manifest has some more, and `trials.csv` all."""


def shown(settings: Mapping[str, object]) -> str:
    """Return settings for a message, each under the last part of its path."""
    named = ((name.rpartition(".")[2], value) for name, value in settings.items())
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in named)


def summary(tuning: Mapping[str, Any]) -> str:
    """Return the best few trials, from what the manifest says of the search."""
    best = "; ".join(f"{trial['value']:.6g} with {shown(trial['parameters'])}" for trial in tuning["best"][:BEST_TOLD])
    return f"best {tuning['objective']['name']} of {tuning['trials']} trials: {best}"
