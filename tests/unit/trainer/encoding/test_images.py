"""Images as pixels: every format, size and number of channels, and the same in training and in the served graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from support.pictures import SIDE, encoded, pictures
from trainyard_api.images import ImageReading
from trainyard_trainer.data.images import PIXELS, ImageAnalyzer, ImageStatistics
from trainyard_trainer.data.schema import Column, Schema
from trainyard_trainer.data.table import RawBatch
from trainyard_trainer.encoding.images import ImageEncoder, reader
from trainyard_trainer.errors import BadInput

LABEL = Column("label", "text")


def facts(column: Column, *rows: RawBatch, **image: Any) -> ImageStatistics:
    counter = ImageAnalyzer(ImageReading(**image), Schema(LABEL, (column,)), reader)
    for each in rows:
        counter.count(counter.read(each), np.ones(len(each), bool))
    return counter.finish(sum(map(len, rows)))


def raw(values: Any) -> RawBatch:
    media = pa.array(values, pa.binary()) if isinstance(values, list) else values
    label = pa.array(["x"] * len(values))
    return RawBatch("t.parquet", 10, np.zeros((len(values), 0), np.float32), (), label, {"image": media})


def files(contents: list[Any], **image: Any) -> Any:
    """Return the pixels of image files, after a look at what a client gets for the same."""
    known = facts(Column("image", "bytes"), **image)
    pixels = known.arrays(raw(contents))[PIXELS]
    served = ImageEncoder(known).from_client({"image_bytes": tf.constant(contents)})[PIXELS]
    np.testing.assert_array_equal(served, pixels)
    return pixels


def bmp(pixels: Any, bits: int = 24) -> bytes:
    """Return a BMP file, uncompressed and top down, of pixels whose rows are multiples of four bytes."""
    height, width, _ = pixels.shape
    body = pixels[:, :, ::-1] if bits == 24 else np.concatenate([pixels[:, :, ::-1], pixels[:, :, :1] * 0 + 255], 2)
    start = 54
    header = b"BM" + np.array([start + body.size, 0, start, 40, width], "<u4").tobytes()
    header += np.array([-height], "<i4").tobytes() + np.array([1, bits], "<u2").tobytes() + bytes(24)
    return header + body.astype(np.uint8).tobytes()


def gif(colours: list[tuple[int, int, int]]) -> bytes:
    """Return a GIF of 2 x 2 pixels, each frame of one of four colours, uncompressed but for the codes it needs."""
    table = b"".join(bytes(each) for each in (colours + [(0, 0, 0)] * 4)[:4])
    frames = b""
    for index in range(len(colours)):
        codes = [4, index, index, index, index, 5]  # clear, the pixels, end; the codes grow to 4 bits after the third
        widths = [3, 3, 3, 3, 4, 4]
        bits = sum(code << sum(widths[:i]) for i, code in enumerate(codes))
        packed = bits.to_bytes((sum(widths) + 7) // 8, "little")
        frames += b"\x2c" + np.array([0, 0, 2, 2], "<u2").tobytes() + b"\x00\x02"
        frames += bytes([len(packed)]) + packed + b"\x00"
    return b"GIF89a" + np.array([2, 2], "<u2").tobytes() + b"\xf1\x00\x00" + table + frames + b";"


def test_a_png_of_the_right_size_comes_as_it_is() -> None:
    pixels, _ = pictures(5)

    np.testing.assert_array_equal(files(encoded(pixels), height=SIDE, width=SIDE), pixels)


@pytest.mark.parametrize("bits", [24, 32])
def test_a_bmp_comes_as_it_is(bits: int) -> None:
    pixels, _ = pictures(1)

    np.testing.assert_array_equal(files([bmp(pixels[0], bits)], height=SIDE, width=SIDE), pixels)


def test_of_a_gif_the_first_frame_counts() -> None:
    found = files([gif([(255, 0, 0), (0, 255, 0)])], height=2, width=2)

    assert found[0].reshape(-1, 3).tolist() == [[255, 0, 0]] * 4


def test_a_jpeg_comes_close() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 32)[:, None, None], (1, 32, 32, 3)).astype(np.uint8)

    found = files(encoded(smooth, "jpg"), height=32, width=32)

    assert abs(found.astype(int) - smooth).max() <= 8


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_transparent_images_get_the_channels_that_are_wanted(channels: int) -> None:
    ramp = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8, 1)
    grey = tf.io.encode_png(ramp).numpy()
    transparent = tf.io.encode_png(np.concatenate([np.repeat(ramp, 3, 2), ramp * 0 + 255], 2)).numpy()

    found = files([grey, transparent], height=8, width=8, channels=channels)

    np.testing.assert_array_equal(found, np.stack([np.repeat(ramp, channels, 2)] * 2))


def test_images_of_all_sizes_are_resized_without_losing_their_mean() -> None:
    fine = (np.indices((200, 120)).sum(0) % 2 * 255).astype(np.uint8)  # a chess board: picking pixels would lose it

    found = files([tf.io.encode_png(fine[:, :, None]).numpy()], height=10, width=12, channels=1)

    assert found.shape == (1, 10, 12, 1)
    assert abs(found.astype(int) - 127).max() <= 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda good: b"nonsense", "row 12 of t.parquet: cannot be read as an image, expected a PNG, JPEG, BMP or GIF"),
        (lambda good: good[:100], "row 12 of t.parquet: cannot be read as an image"),
        (lambda good: b"BM", "row 12 of t.parquet: cannot be read as an image"),
        (lambda good: None, "row 12 of t.parquet: is empty"),
    ],
)
def test_a_bad_image_is_named(bad: Callable[[bytes], bytes | None], message: str) -> None:
    (good,) = encoded(pictures(1)[0])

    with pytest.raises(BadInput) as raised:
        files([good, bad(good)])

    assert message in str(raised.value)


def test_arrays_come_as_they_are_and_other_numbers_than_bytes_with_their_mean_and_spread() -> None:
    values = np.random.default_rng(1).normal(5, 2, (50, 6, 7, 3)).astype(np.float32)
    column = Column("image", "array", (6, 7, 3), "float32")

    known = facts(column, raw(values))

    np.testing.assert_array_equal(known.arrays(raw(values))[PIXELS], values)
    np.testing.assert_allclose(known.mean, values.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(known.deviation, values.std((0, 1, 2)), rtol=1e-5)
    assert ImageEncoder(known).signature() == {"image": tf.TensorSpec([None, 6, 7, 3], tf.float32)}


def test_grey_arrays_get_a_channel_and_are_resized_in_training_as_in_serving() -> None:
    values = np.random.default_rng(1).integers(0, 255, (4, 8, 8)).astype(np.uint8)
    known = facts(Column("image", "array", (8, 8), "uint8"), height=4, width=4)

    pixels = known.arrays(raw(values))[PIXELS]

    assert (pixels.shape, pixels.dtype, known.row_bytes) == ((4, 4, 4, 1), np.uint8, 16)
    np.testing.assert_array_equal(ImageEncoder(known).from_client({"image": tf.constant(values)})[PIXELS], pixels)


def test_a_pixel_that_is_not_finite_is_refused_with_its_row() -> None:
    values = np.zeros((3, 4, 4), np.float32)
    values[2, 1, 1] = np.nan

    with pytest.raises(BadInput, match=r"row 13 of t\.parquet has a pixel that is not a finite number"):
        facts(Column("image", "array", (4, 4), "float32"), raw(values))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ((Column("a", "number"), Column("t", "text")), "the features are a (number), t (text): name the column of"),
        ((Column("image", "bytes"), Column("id", "number")), "name the column of images in data.features"),
        ((Column("x", "array", (4, 4, 2), "uint8"),), "a row of 'x' has shape (4, 4, 2): expected an image as"),
        ((Column("x", "array", (2, 4, 4, 3), "uint8"),), "a row of 'x' has shape (2, 4, 4, 3)"),
        ((Column("x", "array", (4, 4), "uint8"),), "image.channels is 3, but the arrays of 'x' have 1"),
    ],
)
def test_columns_that_are_no_images_are_refused(features: tuple[Column, ...], message: str) -> None:
    with pytest.raises(BadInput) as raised:
        ImageAnalyzer(ImageReading(channels=3), Schema(LABEL, features), reader)

    assert message in str(raised.value)


def test_the_digest_tells_another_size_apart() -> None:
    column = Column("image", "bytes")

    assert facts(column).digest == facts(column).digest
    assert facts(column).digest != facts(column, height=32).digest
