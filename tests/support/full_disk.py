"""A disk that is full: the kernel refuses to write a file beyond a size, as it does where no space is left."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """While inside, no file of this process grows beyond `size` bytes: the write fails with an OSError (EFBIG).

    Nothing but a file system of its own could give ENOSPC without root, and programs see both alike. Python has the
    signal that comes with it (SIGXFSZ) ignored.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
