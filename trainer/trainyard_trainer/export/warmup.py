"""Requests that TensorFlow Serving runs before a version is available, so that the first client need not wait.

See https://www.tensorflow.org/tfx/serving/saved_model_warmup: at most 1000 records, in a file of this name.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from trainyard_api.names import EXAMPLES_INPUT, EXAMPLES_SIGNATURE, SIGNATURE
from trainyard_api.tensorflow_serving_pb2 import ModelSpec, PredictionLog, PredictLog, PredictRequest
from trainyard_api.tensorflow_serving_pb2 import Tensor as WireTensor
from trainyard_trainer.export.tf_examples import serialize
from trainyard_trainer.tensors import TensorSpec

FILE = Path("assets.extra", "tf_serving_warmup_requests")
_MOST_BYTES = 1 << 20
"""Of a request: a few large images are warm enough."""


def write_warmup(
    folder: Path, *, model_name: str, specs: Mapping[str, TensorSpec], rows: Mapping[str, Sequence[object]]
) -> int:
    """Write the requests of a saved model from sample rows; returns how many.

    Each signature is asked for one row and for all: they are different shapes to the server.

    Args:
        folder: Of the SavedModel.
        model_name: Name the model is served by.
        specs: What the signature that takes the columns takes.
        rows: The sample rows, a list for each column.
    """
    path = folder / FILE
    path.parent.mkdir()
    count = len(next(iter(rows.values())))
    written = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for taken in dict.fromkeys((1, count)):
            for name, inputs in _requests(specs, {column: values[:taken] for column, values in rows.items()}):
                spec = ModelSpec(name=model_name, signature_name=name)
                request = PredictRequest(model_spec=spec, inputs=inputs)
                record = PredictionLog(predict_log=PredictLog(request=request)).SerializeToString(deterministic=True)
                if len(record) <= _MOST_BYTES:
                    writer.write(record)
                    written += 1
    return written


def _requests(
    specs: Mapping[str, TensorSpec], rows: Mapping[str, Sequence[object]]
) -> Iterator[tuple[str, dict[str, WireTensor]]]:
    yield SIGNATURE, {name: _tensor(rows[name], spec.dtype) for name, spec in specs.items()}
    yield EXAMPLES_SIGNATURE, {EXAMPLES_INPUT: _tensor(serialize(rows), tf.string)}


def _tensor(values: Sequence[object], dtype: tf.DType) -> WireTensor:
    # Fields that our message does not name, such as int64_val, are kept as they came.
    return WireTensor.FromString(tf.make_tensor_proto(values, dtype).SerializeToString(deterministic=True))
