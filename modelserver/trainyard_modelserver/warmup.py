"""The warmup file of a version: requests that are run before it serves."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from .errors import Code, ServingError, from_tensorflow, invalid_argument, unimplemented
from .metrics import Metrics
from .slim import runtime

_log = logging.getLogger(__name__)

FILE: Final = os.path.join("assets.extra", "tf_serving_warmup_requests")
_MAX_RECORDS: Final = 1000


def warm_up(path: str, iterations: int, predict: Callable[[Any], object], metrics: Metrics) -> None:
    """Run each record of the version's file, if it has one. Raises ServingError at the first that fails."""
    file = os.path.join(path, FILE)
    if not os.path.exists(file):
        _log.info("No warmup data file found at %s", file)
        return
    started = time.perf_counter_ns()
    count = 0
    for record in _records(file):
        log = _parsed(record, file)
        for _ in range(max(iterations, 1)):
            _run(log, predict)
        count += 1
        if count > _MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({_MAX_RECORDS}) at {file}")
        metrics.warmup_records_read.add(path, "OK")
    spent = (time.perf_counter_ns() - started) // 1000
    metrics.warmup_latency.add(spent, path, "OK")
    _log.info("Finished reading warmup data for model at %s. Number of warmup records read: %d.", file, count)


def _records(file: str) -> Iterator[bytes]:
    try:
        yield from runtime().record_iterator(file)
    except Exception as error:
        status = from_tensorflow(error)
        if status.code is Code.DATA_LOSS:
            hint = ". Please verify your warmup data is in TFRecord format."
            raise ServingError(status.code, status.message + hint) from error
        raise status from error


def _parsed(record: bytes, file: str) -> Any:
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise invalid_argument(f"Failed to parse warmup record: {record!r} from {file}") from error


def _run(log: Any, predict: Callable[[Any], object]) -> None:
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        # The original runs Classify, Regress and MultiInference records too; to pass over them would be worse.
        raise unimplemented(f"Unsupported log_type for warmup: {kind}")
    predict(log.predict_log.request)
