"""Which versions a model should have, from the names in its folder: no I/O, no state."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_INT64: Final = 2**63


@dataclass(frozen=True, slots=True)
class Latest:
    """Serve the highest versions there are."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class All:
    """Serve every version there is."""


@dataclass(frozen=True, slots=True)
class Specific:
    """Serve these versions, where they are there."""

    versions: frozenset[int]


Policy = Latest | All | Specific


@dataclass(frozen=True, slots=True)
class Aspired:
    """The versions to serve, each with the name of its folder, and what to warn of."""

    folders: Mapping[int, str]
    warnings: tuple[str, ...] = field(default=())


def parse_version(name: str) -> int | None:
    """The number a folder's whole name stands for, None where it is none or does not fit in 64 bits.

    Like TensorFlow's own conversion it takes a sign and blanks around the digits.
    """
    if re.fullmatch(r"[ \t\n\v\f\r]*[+-]?[0-9]{1,4000}[ \t\n\v\f\r]*", name) is None:
        return None
    number = int(name)
    return number if -_INT64 <= number < _INT64 else None


def aspired(model: str, base_path: str, names: Iterable[str], policy: Policy) -> Aspired:
    """Choose among the names in a model's base path by its policy."""
    found, warnings = _by_version(names)
    match policy:
        case Latest(count):
            chosen = sorted(found)[-max(count, 1) :]
        case All():
            chosen = sorted(found)
        case Specific(wanted):
            chosen = sorted(found.keys() & wanted)
            warnings += [
                f"Version {version} of servable {model}, which was requested to be served as a 'specific' version in "
                "the servable's version policy, was not found in the file system"
                for version in sorted(wanted - found.keys())
            ]
    if not chosen:
        warnings.append(
            f"No versions of servable {model} found under base path {base_path}. Did you forget to name your leaf "
            "directory as a number (eg. '/1/')?"
        )
    return Aspired({version: found[version] for version in chosen}, tuple(warnings))


def _by_version(names: Iterable[str]) -> tuple[dict[int, str], list[str]]:
    found: dict[int, str] = {}
    warnings: list[str] = []
    for name in sorted(names):
        version = parse_version(name)
        if version is None:
            continue
        if version in found:
            warnings.append(
                f"Duplicate version directories detected. Version {version} will be loaded from {name}, "
                f"{found[version]} will be ignored."
            )
        found[version] = name
    return found, warnings
