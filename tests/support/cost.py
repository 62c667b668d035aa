"""What a piece of code may cost, measured so that neither other processes nor old garbage count."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """The block uses no more CPU time of its thread than this.

    A collection of what earlier tests left takes a quarter of a second late in a long run, so none happens meanwhile.
    """
    collecting = gc.isenabled()
    gc.disable()
    started = time.thread_time()
    try:
        yield
        spent = time.thread_time() - started
    finally:
        if collecting:
            gc.enable()
    assert spent < seconds, f"took {spent:.3f} s of the CPU, at most {seconds} s are allowed"
