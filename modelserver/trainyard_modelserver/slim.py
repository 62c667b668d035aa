"""Brings in as much of TensorFlow as loading and running a SavedModel takes.

`import tensorflow` also builds the whole public API: measured, 1.8 s and 490 MB against 0.7 s and 360 MB for the
modules needed here. A server's start is part of every roll-out, so the package's own `__init__` is left out: an empty
package of that name and place lets its modules be imported one by one. Where TensorFlow is there already, or this
arrangement of its files is not, the whole of it is used.
"""

import importlib.util
import os
import sys
import types
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the model server uses of TensorFlow."""

    Session: Any
    Graph: Any
    SavedModelLoader: Any
    config_pb2: Any
    record_iterator: Any
    """Reads TFRecord files."""
    version: str


def prepare() -> None:
    """Make TensorFlow's modules importable without its `__init__`. Call it before any import of them."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("The model server needs TensorFlow: install the trainer's requirements")
    package = types.ModuleType("tensorflow")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["tensorflow"] = package
    try:
        runtime()
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "tensorflow"]:
            del sys.modules[name]


def runtime() -> Runtime:
    """Import the parts."""
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.client import session
    from tensorflow.python.framework import ops, versions
    from tensorflow.python.lib.io import tf_record

    # Its import registers how variables, conditions and loops are read back from a graph of TensorFlow 1.
    from tensorflow.python.ops import control_flow_ops, lookup_ops, variables, while_loop  # noqa: F401
    from tensorflow.python.saved_model import loader_impl

    return Runtime(
        session.Session,
        ops.Graph,
        loader_impl.SavedModelLoader,
        config_pb2,
        tf_record.tf_record_iterator,
        versions.VERSION,
    )
