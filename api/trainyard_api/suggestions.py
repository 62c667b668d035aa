"""What somebody may have meant by a name that there is not."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known name, or nothing where none is near."""
    nearest = closest(name, known)
    return f"; did you mean {nearest!r}?" if nearest else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the nearest known name, whatever its case, hyphens and underscores; None where none is near.

    >>> closest("learning_rate", ["learningRate", "momentum"])
    'learningRate'
    >>> closest("mse", ["huber", "mean_squared_error"])
    'mean_squared_error'
    """
    known = list(known)
    if initials := [each for each in known if "".join(word[0] for word in each.split("_") if word) == name]:
        return initials[0]
    folded = {_folded(candidate): candidate for candidate in known}
    nearest = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.6)
    return folded[nearest[0]] if nearest else None


def listed(names: Iterable[str], limit: int = 8) -> str:
    """Return names joined by commas, the first of them and how many more there are."""
    every = list(names)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
