"""Images in the graph: from the bytes of a file, or an array, to pixels of one size. Training and serving share it."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import tensorflow as tf

from trainyard_trainer.data.bad_rows import UnreadableRows
from trainyard_trainer.data.image_headers import size_of, why_too_large
from trainyard_trainer.data.images import PIXELS, ImageReader, ImageStatistics
from trainyard_trainer.data.schema import Column
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.encoding.input_names import bytes_input
from trainyard_trainer.errors import BadInput
from trainyard_trainer.tensors import Array, Arrays, Samples, Tensor, Tensors, TensorSpec

_GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
_SAMPLES = 8
_LARGE_PIXELS = 4_000_000
"""Images larger than this are decoded one after the other: each takes up to 16 bytes a pixel."""
_UNDECODABLE = (
    tf.errors.InvalidArgumentError, tf.errors.InternalError, tf.errors.UnimplementedError, tf.errors.DataLossError,
    tf.errors.OutOfRangeError, tf.errors.ResourceExhaustedError, tf.errors.UnknownError, UnicodeDecodeError,
)  # fmt: skip
"""What TensorFlow raises of a damaged file, and its Python where it quotes the bytes that it found."""
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """Shape of a model's input, and how to bring it near to 0 and 1: mean and deviation are empty for bytes."""

    shape: Shape
    dtype: str
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()


class ImageEncoder(tf.Module):
    """Decodes and resizes what a client sends; what the data side delivers is pixels already."""

    missing: tuple[str, ...] = ()

    def __init__(self, facts: ImageStatistics) -> None:
        super().__init__()
        self._facts, self._column = facts, facts.column
        self.inputs = ImageInputs(facts.shape, facts.dtype, facts.mean, facts.deviation)
        self._files = facts.column.kind == "bytes"
        self._name = bytes_input(facts.column.name) if self._files else facts.column.name

    def signature(self) -> dict[str, TensorSpec]:
        """Return what a client sends: image files, or arrays like those of the data."""
        if self._files:
            return {self._name: tf.TensorSpec([None], tf.string)}
        return {self._name: tf.TensorSpec([None, *self._column.shape], self._column.dtype)}

    def encode(self, features: Arrays) -> dict[str, Tensor]:
        """Return the pixels."""
        return {PIXELS: tf.convert_to_tensor(features[PIXELS])}

    def from_client(self, columns: Tensors) -> dict[str, Tensor]:
        """Return the pixels of what a client sent."""
        sent, shape = columns[self._name], self._facts.shape
        if not self._files:
            return {PIXELS: resize(_with_channels(sent), shape)}
        spec = tf.TensorSpec(shape, tf.uint8)
        return {PIXELS: tf.map_fn(lambda content: decode(content, shape), sent, fn_output_signature=spec)}

    def samples(self, raw: RawBatch) -> Samples:
        """Return a few images twice."""
        column = raw.media[self._column.name]
        sent = column.to_pylist() if self._files else column.tolist()
        pixels = self._facts.arrays(raw)[PIXELS]
        return {self._name: sent[:_SAMPLES]}, {PIXELS: pixels[:_SAMPLES]}


def decode(content: Tensor, shape: Shape) -> Tensor:
    """Return the pixels, uint8 [height, width, channels], of a PNG, JPEG, BMP or GIF file; of a GIF the first frame."""
    # TensorFlow decodes a BMP only with the channels it has.
    pixels = tf.cond(
        tf.strings.regex_full_match(content, r"(?s)BM.*"),
        lambda: tf.io.decode_bmp(content),
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )
    coloured = tf.where(tf.shape(pixels)[2] >= 3, [0, 1, 2], [0, 0, 0])
    pixels = tf.ensure_shape(tf.gather(pixels, coloured, axis=2), [None, None, 3])
    if shape[2] == 1:
        pixels = tf.cast(tf.round(tf.tensordot(tf.cast(pixels, tf.float32), _GREY, 1)), tf.uint8)[:, :, tf.newaxis]
    return resize(pixels, shape)


def resize(pixels: Tensor, shape: Shape) -> Tensor:
    """Return one image or several in another size, with the edges that are too fine for it smoothed."""
    if tuple(pixels.shape[-3:-1]) == shape[:2]:
        return pixels
    resized = tf.image.resize(pixels, shape[:2], antialias=True)
    if pixels.dtype == tf.uint8:
        resized = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    return tf.ensure_shape(resized, [*pixels.shape[:-3], *shape])


def reader(column: Column, shape: Shape) -> ImageReader:
    """Return what makes pixels of raw rows, as the served model will."""
    return _ImageFileReader(column, shape) if column.kind == "bytes" else _ImageArrayReader(column, shape)


class _ImageFileReader:
    """Decodes image files, several at a time."""

    def __init__(self, column: Column, shape: Shape) -> None:
        self._name, self._shape = column.name, shape

    def __call__(self, raw: RawBatch) -> Array:
        """Return the pixels.

        Raises:
            UnreadableRows: some rows hold no image.
        """
        contents = pc.fill_null(raw.media[self._name], b"").to_numpy(zero_copy_only=False)
        if not len(contents):
            return np.zeros((0, *self._shape), np.uint8)
        if any(map(why_too_large, contents)):
            raise self._unreadable(raw, contents)
        pixels = [size[0] * size[1] for content in contents if (size := size_of(content))]
        calls = 1 if max(pixels, default=0) > _LARGE_PIXELS else os.cpu_count() or 1
        try:
            return _decoder(self._shape, calls)(contents).numpy()
        except _UNDECODABLE as error:
            found = self._unreadable(raw, contents)
            if not found.rows:
                raise
            raise found from error

    def _unreadable(self, raw: RawBatch, contents: Array) -> UnreadableRows:
        bad = {}
        for row, content in enumerate(contents):
            if why := why_too_large(content):
                bad[row] = why
                continue
            try:
                decode(tf.constant(content), self._shape)
            except _UNDECODABLE:
                found = "cannot be read as an image" if content else "is empty"
                bad[row] = f"{found}, expected a PNG, JPEG, BMP or GIF"
        return UnreadableRows(bad, first=raw.where(min(bad, default=0)))


@functools.lru_cache(maxsize=8)  # tracing takes longer than decoding hundreds of small images
def _decoder(shape: Shape, calls: int) -> Callable[[Array], Tensor]:
    """Return what decodes image files, `calls` at a time."""

    def decoded(contents: Tensor) -> Tensor:
        options = tf.data.Options()
        # TensorFlow's own threads are as few as the steps of small models want them.
        options.threading.private_threadpool_size = os.cpu_count() or 1
        images = tf.data.Dataset.from_tensor_slices(contents).with_options(options)
        images = images.map(lambda content: decode(content, shape), num_parallel_calls=calls)
        return images.batch(tf.size(contents, out_type=tf.int64)).get_single_element()

    return tf.function(decoded, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


class _ImageArrayReader:
    """Resizes arrays where the spec asks for another size."""

    def __init__(self, column: Column, shape: Shape) -> None:
        self._name, self._shape = column.name, shape

    def __call__(self, raw: RawBatch) -> Array:
        """Return the pixels.

        Raises:
            BadInput: a row holds a number that is not finite.
        """
        pixels = raw.media[self._name]
        bad = ~np.isfinite(pixels).reshape(len(pixels), -1).all(axis=1)
        if bad.any():
            where = raw.where(int(bad.argmax()))
            raise BadInput(f"{where} has a pixel that is not a finite number: correct the row or remove it")
        return np.asarray(resize(tf.constant(_with_channels(pixels)), self._shape))


def _with_channels(pixels: Any) -> Any:
    return pixels[..., np.newaxis] if len(pixels.shape) == 3 else pixels
