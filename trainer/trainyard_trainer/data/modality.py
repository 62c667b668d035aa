"""What a program learns from, a table, images, texts or sounds, and which fields of its own say so."""

from dataclasses import dataclass
from typing import Literal

from trainyard_api.audio import Audio, AudioReading
from trainyard_api.code import PythonProgram
from trainyard_api.images import Image, ImageReading
from trainyard_api.program import KerasProgram, ModelProgram
from trainyard_api.text import Text, TextReading

Kind = Literal["image", "text", "audio", "table"]
_FAMILIES: dict[Kind, str] = {
    "image": "family cnn", "text": "family textClassifier", "audio": "family audioClassifier", "table": "family mlp",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProgramTerms:
    """How messages speak of a program: a family of program.keras, or program.python with or without a field."""

    python: bool = False

    def what(self, kind: Kind) -> str:
        """Return what learns from a kind of data, as the subject of a sentence."""
        return self.field(kind) if self.python else _FAMILIES[kind]

    def field(self, kind: Kind) -> str:
        """Return the field that says how a kind of data is read."""
        return f"program.{'python' if self.python else 'keras'}.{kind}"

    def how_to(self, kind: Kind) -> str:
        """Return what to do for a model that learns from a kind of data."""
        if not self.python:
            return f"use {_FAMILIES[kind]}"
        return (
            f"leave {self.field('image')}, text and audio out" if kind == "table" else f"set {self.field(kind)}: {{}}"
        )


KERAS = ProgramTerms()


def terms_of(program: ModelProgram) -> ProgramTerms:
    """Return how messages speak of a program."""
    return ProgramTerms(python=isinstance(program, PythonProgram))


def reading_of(program: ModelProgram) -> ImageReading | TextReading | AudioReading | None:
    """Return how the rows of a program are read, or nothing where they are a table."""
    if isinstance(program, KerasProgram):
        own = {"cnn": Image, "textClassifier": Text, "audioClassifier": Audio}.get(program.family)
        return program.image or program.text or program.audio or (own() if own else None)
    return program.image or program.text or program.audio
