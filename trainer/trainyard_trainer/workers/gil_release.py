"""Has TensorFlow wait for the servers of other workers without Python's lock, so that threads of ours go on meanwhile.

TensorFlow 2.21 holds the lock while it waits, and it waits for a worker that died just then for an hour or for ever.
The function of its C API that waits is called through ctypes here, which lets go of the lock.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unlocked_connecting() -> Iterator[None]:
    """While inside, strategies of several workers that are built wait for each other without the lock."""
    from tensorflow.python import pywrap_tfe

    locked, pywrap_tfe.TFE_EnableCollectiveOps = pywrap_tfe.TFE_EnableCollectiveOps, _enable_collective_ops
    try:
        yield
    finally:
        pywrap_tfe.TFE_EnableCollectiveOps = locked


def _enable_collective_ops(context: object, server: bytes) -> None:
    """Do what TensorFlow's own binding does: `server` is a ServerDef, and `context` holds a TFE_Context.

    Raises:
        tf.errors.OpError: the servers do not find each other, or the port is taken.
    """
    import tensorflow as tf

    library = ctypes.CDLL(str(next(Path(tf.sysconfig.get_lib()).glob("libtensorflow_cc*"))))
    address = ctypes.pythonapi.PyCapsule_GetPointer
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    library.TF_NewStatus.restype = ctypes.c_void_p
    library.TF_Message.restype = ctypes.c_char_p
    status = ctypes.c_void_p(library.TF_NewStatus())
    try:
        library.TFE_EnableCollectiveOps(
            ctypes.c_void_p(address(context, None)), server, ctypes.c_size_t(len(server)), status
        )
        if code := library.TF_GetCode(status):
            raise tf.errors.OpError(None, None, library.TF_Message(status).decode(errors="replace"), code)
    finally:
        library.TF_DeleteStatus(status)
