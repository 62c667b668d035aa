"""Which of the offered forms a client's `Accept` header asks for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from trainyard_devcluster.apiserver.errors import not_acceptable

Shape = Literal["Object", "Table", "Partial"]
OFFERED = ("application/json", "application/yaml")


@dataclass(frozen=True, slots=True)
class MediaType:
    """One entry of an `Accept` header."""

    name: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Format:
    """The form of an answer."""

    shape: Shape = "Object"
    yaml: bool = False


def media_types(accept: str) -> Iterator[MediaType]:
    """Yield the entries of an `Accept` header, most wanted first."""
    entries = []
    for position, part in enumerate(accept.split(",")):
        name, *pairs = (piece.strip() for piece in part.split(";"))
        parameters = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        entries.append((-_quality(parameters.get("q", "1")), position, MediaType(name.lower(), parameters)))
    yield from (entry[2] for entry in sorted(entries, key=lambda entry: entry[:2]))


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def negotiate(accept: str) -> Format:
    """Return the first form a client accepts that is offered.

    Raises:
        ApiError: 406, there is none.
    """
    for each in media_types(accept or "*/*"):
        yaml = each.name in ("application/yaml", "text/yaml")
        if not yaml and each.name not in ("application/json", "*/*", "application/*", ""):
            continue
        shape = _SHAPES.get(each.parameters.get("as", ""))
        if shape is None or (shape != "Object" and each.parameters.get("v", "v1") not in ("v1", "v1beta1")):
            continue
        return Format(shape, yaml)
    raise not_acceptable(OFFERED)


_SHAPES: dict[str, Shape] = {
    "": "Object",
    "Table": "Table",
    "PartialObjectMetadata": "Partial",
    "PartialObjectMetadataList": "Partial",
}
