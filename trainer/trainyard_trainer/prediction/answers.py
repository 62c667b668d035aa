"""What a model answers to rows, as columns of Arrow; a row that it cannot answer is a bad one."""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from trainyard_api.names import SIGNATURE
from trainyard_trainer.data.bad_rows import BadRows
from trainyard_trainer.errors import BadInput, one_line
from trainyard_trainer.prediction.rows import InputRows
from trainyard_trainer.tensors import Array

PREFIX = "predicted_"
"""Before the name of each output, because a table often has a column `label` of its own."""


class Predictor:
    """A SavedModel that answers rows.

    Args:
        folder: Of the SavedModel.
        outputs: Names of its answers.
        kept: The columns that are written beside them.
        bad_rows: Where rows go that it cannot answer.

    Raises:
        BadInput: it cannot be loaded, or a column that is kept is called like an answer.
    """

    def __init__(self, folder: Path, *, outputs: Collection[str], kept: Collection[str], bad_rows: BadRows) -> None:
        if taken := {f"{PREFIX}{name}" for name in outputs}.intersection(kept):
            raise BadInput(
                f"the data has a column {min(taken)!r}, which is the name of an answer: leave it out by naming the "
                "columns to keep in program.predict.columns"
            )
        self._bad_rows = bad_rows
        try:
            self._model = tf.saved_model.load(str(folder))
        except (ValueError, OSError, tf.errors.OpError) as error:
            raise BadInput(f"the model cannot be loaded: {one_line(error, 400)}; export it again") from error
        signature = self._model.signatures[SIGNATURE]
        self._call: Callable[..., Mapping[str, tf.Tensor]] = signature

    def predict(self, rows: InputRows) -> Iterator[pa.RecordBatch]:
        """Yield the kept columns of rows with the answers behind them, without those that cannot be answered."""
        if not len(rows):
            return
        try:
            given = {name: tf.constant(values) for name, values in rows.inputs.items()}
            answers = {name: answer.numpy() for name, answer in self._call(**given).items()}
        except tf.errors.InvalidArgumentError as error:  # such as bytes that are no image
            if len(rows) == 1:
                self._bad_rows.add([rows.bad(0, f"the model cannot answer it: {_words(error)}")])
                return
            for half in np.array_split(np.arange(len(rows)), 2):
                yield from self.predict(rows.take(half))
            return
        for name, answer in answers.items():
            if len(answer) != len(rows):
                raise BadInput(
                    f"the model answers {len(rows)} rows with {len(answer)} values of {name!r}: expected one for each"
                )
        columns = dict(zip(rows.kept.schema.names, rows.kept.columns, strict=True))
        columns |= {f"{PREFIX}{name}": _column(values) for name, values in sorted(answers.items())}
        yield pa.record_batch(list(columns.values()), names=list(columns))


def _words(error: tf.errors.OpError) -> str:
    """Return the first line of what TensorFlow says, without where in the graph it is."""
    return one_line(str(error.message).strip().partition("\n")[0], 200)


def _column(values: Array) -> pa.Array:
    if values.dtype == object:
        return pa.array([_texts(value) for value in values])
    if values.ndim == 1:
        return pa.array(values)
    if values.ndim == 2 and values.shape[1]:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    return pa.array(values.tolist())


def _texts(value: object) -> object:
    if isinstance(value, np.ndarray):
        return [_texts(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
