"""A column of images: files of any usual format, or arrays of numbers."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from trainyard_api.images import ImageReading
from trainyard_trainer.data.labels import Tally
from trainyard_trainer.data.modality import KERAS, Kind, ProgramTerms
from trainyard_trainer.data.schema import Column, Schema
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.errors import BadInput, listed
from trainyard_trainer.tensors import Array, Arrays, Mask

PIXELS = "pixels"
"""Name of the feature array: [rows, height, width, channels], uint8 for files and bytes, else float32."""
DEFAULT_SIDE, DEFAULT_CHANNELS = 64, 3

ImageShape: TypeAlias = tuple[int, int, int]
"""Height, width and channels."""
ImageReader: TypeAlias = Callable[[RawBatch], Array]
"""Returns the pixels of raw rows."""
ImageReaderFactory: TypeAlias = Callable[[Column, ImageShape], ImageReader]
"""Makes the reader of a column for one shape of image."""


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """What a model of images has to know. Bytes run from 0 to 255; of other numbers `mean` and `deviation` are known.

    `read` returns the pixels of raw rows, by the very operations that are saved with the model.
    """

    column: Column
    shape: ImageShape
    dtype: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    read: ImageReader = field(compare=False, repr=False)

    @property
    def row_bytes(self) -> int:
        """Memory of an image."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    @property
    def digest(self) -> bytes:
        """A digest of everything the model's input depends on."""
        return hashlib.sha256(repr(self).encode()).digest()

    def arrays(self, raw: RawBatch) -> dict[str, Array]:
        """Return the pixels of raw rows."""
        return {PIXELS: self.read(raw)}


class ImageAnalyzer:
    """Reads each image once, so that a bad one is found before the training starts.

    `reader_for` decodes images as the server will, in TensorFlow, which this side does not load.

    Raises:
        BadInput: there is not one column of images, or it has another shape than the spec says.
    """

    def __init__(
        self, image: ImageReading, schema: Schema, reader_for: ImageReaderFactory, terms: ProgramTerms = KERAS
    ) -> None:
        self._column = _image_column(schema, terms)
        self._shape = _shape(image, self._column, terms.field("image"))
        self._dtype = self._column.dtype or "uint8"
        self._read = reader_for(self._column, self._shape)
        self._tally = Tally(self._shape[2])
        self.row_bytes = int(np.prod(self._shape)) * np.dtype(self._dtype).itemsize

    def read(self, raw: RawBatch) -> dict[str, Array]:
        """Return the pixels of rows."""
        return {PIXELS: self._read(raw)}

    def count(self, read: Arrays, training: Mask) -> None:
        """Take in the rows that were read last."""
        if self._dtype != "uint8":
            self._tally.add(read[PIXELS][training].reshape(-1, self._shape[2]).astype(np.float64))

    def finish(self, training_rows: int) -> ImageStatistics:
        """Return what is known now."""
        known = self._dtype != "uint8"
        deviation = np.where(self._tally.deviation > 0, self._tally.deviation, 1.0)
        return ImageStatistics(
            column=self._column,
            shape=self._shape,
            dtype=self._dtype,
            mean=tuple(self._tally.mean.tolist()) if known else (),
            deviation=tuple(deviation.tolist()) if known else (),
            read=self._read,
        )

    def settle(self, kept: Arrays) -> Arrays:
        """Return kept pixels as they are."""
        return kept


def _image_column(schema: Schema, terms: ProgramTerms) -> Column:
    images = [each for each in schema.features if each.name in schema.media]
    if len(images) != 1 or len(schema.features) > 1:
        found = listed((f"{each.name} ({each.kind})" for each in schema.features), 5)
        fitting: Kind = "text" if [each.kind for each in schema.features] == ["text"] else "table"
        raise BadInput(
            f"{terms.what('image')} expects one column of images, but the features are {found}: name the column of "
            f"images in data.features, or {terms.how_to(fitting)}, which fits these columns"
        )
    return images[0]


def _shape(wanted: ImageReading, column: Column, field_: str) -> ImageShape:
    if column.kind == "bytes":
        return wanted.height or DEFAULT_SIDE, wanted.width or DEFAULT_SIDE, wanted.channels or DEFAULT_CHANNELS
    if len(column.shape) > 3 or (len(column.shape) == 3 and column.shape[2] not in (1, 3)):
        raise BadInput(
            f"a row of {column.name!r} has shape {column.shape}: expected an image as (height, width), or as "
            "(height, width, channels) with 1 or 3 channels"
        )
    height, width, channels = (*column.shape, 1)[:3]
    if wanted.channels not in (None, channels):
        raise BadInput(
            f"{field_}.channels is {wanted.channels}, but the arrays of {column.name!r} have {channels}: "
            "leave it out, or convert the data"
        )
    return wanted.height or height, wanted.width or width, channels
