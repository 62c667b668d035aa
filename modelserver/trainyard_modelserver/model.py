"""One loaded version: a SavedModel in a session of its own."""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from . import tensors
from .errors import Code, ServingError, from_tensorflow, invalid_argument, not_found
from .flags import Options
from .slim import runtime

_log = logging.getLogger(__name__)

DEFAULT_SIGNATURE: Final = "serving_default"


@dataclass(frozen=True, slots=True)
class _Call:
    """A compiled choice of inputs and outputs."""

    run: Any
    types: Sequence[tuple[str, Any]]
    """The name and numpy type of each fed tensor."""


class Model:
    """A version ready to run. Raises ServingError where the folder holds none."""

    def __init__(self, name: str, version: int, path: str, options: Options, session_config: Any) -> None:
        self.name = name
        self.version = version
        self.path = path
        self._timeout_in_ms = options.rest_api_timeout_in_ms
        tf = runtime()
        _require_saved_model(path)
        tags = options.saved_model_tags.split(",")
        graph = tf.Graph()
        self._session = tf.Session(graph=graph, config=session_config)
        try:
            with graph.as_default():
                meta_graph = tf.SavedModelLoader(path).load(self._session, tags)
        except Exception as error:
            self._session.close()
            raise _load_error(error, path, tags) from error
        graph.finalize()
        self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def)
        self.signature_inputs: Mapping[str, Mapping[str, int]] = {
            key: {alias: signature.inputs[alias].dtype for alias in sorted(signature.inputs)}
            for key, signature in self.signatures.items()
        }
        self._calls: dict[tuple[Any, ...], _Call] = {}
        self._calls_lock = threading.Lock()

    def run(self, feeds: Mapping[str, Any], fetches: Sequence[str], *, timed: bool = False) -> list[Any]:
        """Run by tensor names; static shapes are not checked, as in the C++ session.

        `timed` puts the REST timeout on the run. Raises ServingError.
        """
        call = self._call(tuple(feeds), tuple(fetches), timed)
        for position, ((expected, dtype), value) in enumerate(zip(call.types, feeds.values(), strict=True)):
            if value.dtype is not dtype and value.dtype != dtype:
                given = tensors.data_type_of(value).name
                raise invalid_argument(f"Expects arg[{position}] to be {expected} but {given} is provided")
        try:
            return [_array(output) for output in call.run(*feeds.values())]
        except Exception as error:
            raise from_tensorflow(error) from error

    def close(self) -> None:
        """Free the session. No run may be under way."""
        self._calls.clear()
        self._session.close()

    def _call(self, feeds: tuple[str, ...], fetches: tuple[str, ...], timed: bool) -> _Call:
        key = (feeds, fetches, timed)
        call = self._calls.get(key)
        if call is None:
            with self._calls_lock:
                call = self._calls.get(key)
                if call is None:
                    graph = self._session.graph
                    types = [tensors.data_types()[graph.get_tensor_by_name(f).dtype.as_datatype_enum] for f in feeds]
                    run = make_callable(self._session, feeds, fetches, self._timeout_in_ms if timed else 0)
                    call = self._calls[key] = _Call(
                        run, [(argument.name, np.dtype(argument.dtype)) for argument in types]
                    )
        return call


def make_callable(session: Any, feeds: Sequence[str], fetches: Sequence[str], timeout_in_ms: int) -> Any:
    """A function from the fed arrays, in order, to a list of the fetched ones.

    The session's own callable takes 20 us a call, `Session.run` 250 us, and only the callable leaves the placeholders'
    static shapes alone, as the C++ session does. It is not quite public, so it is named here and nowhere else; without
    it `Session.run` serves, with its stricter shapes.
    """
    config_pb2 = runtime().config_pb2
    run_options = config_pb2.RunOptions(timeout_in_ms=timeout_in_ms)
    make = getattr(session, "_make_callable_from_options", None)
    if make is not None:
        return make(config_pb2.CallableOptions(feed=feeds, fetch=fetches, run_options=run_options))
    return lambda *values: session.run(
        list(fetches), feed_dict=dict(zip(feeds, values, strict=True)), options=run_options
    )


def session_config(options: Options) -> Any:
    """The ConfigProto that the flags stand for. Raises ServingError where they contradict each other."""
    from .config import read_text_proto

    config = runtime().config_pb2.ConfigProto()
    if options.tensorflow_session_config_file:
        read_text_proto(options.tensorflow_session_config_file, config)
        return config
    both = options.tensorflow_session_parallelism
    intra, inter = options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism
    if intra > 0 and inter > 0 and both > 0:
        raise invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    split = intra > 0 or inter > 0
    config.intra_op_parallelism_threads = intra if split else both
    config.inter_op_parallelism_threads = inter if split else both
    config.gpu_options.per_process_gpu_memory_fraction = options.per_process_gpu_memory_fraction
    return config


def _array(result: Any) -> Any:
    """A fetched value as an array; a single string comes as bytes and must not lose its trailing zero bytes."""
    if isinstance(result, bytes):
        array = np.empty((), np.object_)
        array[()] = result
        return array
    return np.asarray(result)


def _require_saved_model(path: str) -> None:
    if not any(os.path.exists(os.path.join(path, name)) for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise not_found(
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. Check that the "
            "directory exists and that you have the right permissions for accessing it."
        )


def _load_error(error: Exception, path: str, tags: Sequence[str]) -> ServingError:
    """The C++ loader's status for what the Python loader raises."""
    if isinstance(error, RuntimeError) and "MetaGraphDef associated with tags" in str(error):
        return not_found(
            f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect available "
            "tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`"
        )
    if isinstance(error, OSError):
        return ServingError(Code.DATA_LOSS, f"Can't parse {os.path.join(path, 'saved_model.pb')} as binary proto")
    if isinstance(error, ValueError):
        return not_found(str(error))  # Its variables are not there.
    return from_tensorflow(error)
