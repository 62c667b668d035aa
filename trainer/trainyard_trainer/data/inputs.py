"""What each kind of program takes of the rows: the data side of its input. The side in the graph is in `encoders`."""

from collections.abc import Mapping
from typing import Protocol

from trainyard_api.audio import AudioReading
from trainyard_api.images import ImageReading
from trainyard_api.program import ModelProgram
from trainyard_api.text import TextReading
from trainyard_trainer.data.images import ImageAnalyzer, ImageReaderFactory
from trainyard_trainer.data.modality import reading_of, terms_of
from trainyard_trainer.data.schema import Schema
from trainyard_trainer.data.sounds import SoundAnalyzer
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.data.tabular import TableAnalyzer
from trainyard_trainer.data.texts import TextAnalyzer
from trainyard_trainer.tensors import Array, Arrays, Mask


class FeatureStatistics(Protocol):
    """What is known of the features once all rows have been seen."""

    @property
    def row_bytes(self) -> int:
        """Memory that the arrays of a row take, about."""

    @property
    def digest(self) -> bytes:
        """A digest of everything the model's input depends on: it differs where a checkpoint would not fit."""

    def arrays(self, raw: RawBatch) -> dict[str, Array]:
        """Return raw rows as numpy arrays with one entry a row, as an encoder takes them."""


class FeatureAnalyzer(Protocol):
    """Collects what a model has to know of the features while the data streams by."""

    row_bytes: int
    """Memory that the arrays of a row take, about: it decides how many rows are read at a time."""

    def read(self, raw: RawBatch) -> dict[str, Array]:
        """Return what to keep of rows, as numpy arrays with one entry a row.

        Raises:
            UnreadableRows: some hold nothing that can be decoded.
        """

    def count(self, read: Arrays, training: Mask) -> None:
        """Take in the rows that were read last, of which the mask `training` tells those to learn from."""

    def finish(self, training_rows: int) -> FeatureStatistics:
        """Return what is known now.

        Raises:
            BadInput: the features cannot be learnt from.
        """

    def settle(self, kept: Arrays) -> Arrays:
        """Return kept arrays as the facts' `arrays` would have given them; called after `finish`."""


def analyzer_for(
    program: ModelProgram,
    schema: Schema,
    hashing: Mapping[str, int] | None = None,
    *,
    image_reader: ImageReaderFactory,
) -> FeatureAnalyzer:
    """Return the counter of what a program learns from; `hashing` gives the buckets of hashed columns of a table.

    `image_reader` decodes the images of a program that learns from images.

    Raises:
        BadInput: the columns are not what the program learns from.
    """
    terms = terms_of(program)
    match reading_of(program):
        case ImageReading() as image:
            return ImageAnalyzer(image, schema, image_reader, terms)
        case TextReading() as text:
            return TextAnalyzer(text, schema, terms)
        case AudioReading() as audio:
            return SoundAnalyzer(audio, schema, terms)
        case None:
            return TableAnalyzer(schema, hashing, terms)


def needs_tensorflow(program: ModelProgram) -> bool:
    """Return whether TensorFlow has to be set up before the data is looked at, because it prepares the rows."""
    return isinstance(reading_of(program), ImageReading | AudioReading)
