"""Dates and times in the TensorFlow graph: the numbers that `data.moments` makes of the same texts."""

import numpy as np
import tensorflow as tf

from trainyard_trainer.data.moments import DAY_FIRST, PARTS, YEAR_FIRST, parts_of
from trainyard_trainer.tensors import Tensor


def numbers(texts: Tensor) -> Tensor:
    """Return the numbers of dates, float32 [rows, PARTS]; NaN where a text is empty or no date."""
    texts = tf.strings.strip(texts)
    is_year_first = tf.strings.regex_full_match(texts, YEAR_FIRST)
    is_date = tf.logical_or(is_year_first, tf.strings.regex_full_match(texts, DAY_FIRST))

    def group(of_year_first: int, of_day_first: int) -> Tensor:
        """Return a group of the pattern that fits."""
        return tf.where(is_year_first, _group(texts, YEAR_FIRST, of_year_first), _group(texts, DAY_FIRST, of_day_first))

    def field(of_year_first: int, of_day_first: int) -> Tensor:
        """Return a group of the pattern that fits, as int64."""
        found = group(of_year_first, of_day_first)
        return tf.strings.to_number(tf.where(tf.logical_and(is_date, found != ""), found, "0"), tf.int64)

    year, month, day = field(1, 3), field(2, 2), field(3, 1)
    offset = 60 * field(8, 8) + field(9, 9)
    minute = field(5, 5) - tf.where(group(7, 7) == "-", -offset, offset)
    columns = parts_of(
        (year, month, day, field(4, 4), minute, field(6, 6)),
        real=lambda whole: tf.cast(whole, tf.float64),
        waves=(tf.sin, tf.cos),
    )
    there = is_date & (year > 0) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    stacked = tf.cast(tf.stack(columns, axis=1), tf.float32)
    return tf.ensure_shape(tf.where(there[:, tf.newaxis], stacked, np.float32(np.nan)), [None, len(PARTS)])


def _group(texts: Tensor, pattern: str, number: int) -> Tensor:
    return tf.strings.regex_replace(texts, f"^{pattern}$", rf"\{number}")
