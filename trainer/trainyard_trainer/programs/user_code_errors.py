"""Says which line of a user's code went wrong, and lets it change nothing that the trainer needs."""

import inspect
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from trainyard_trainer.errors import BadInput, one_line


@contextmanager
def report_user_errors(what: str) -> Iterator[None]:
    """Turn what a user's code raises into a message with the line it came from."""
    try:
        # The lines of stdout are for programs.
        with redirect_stdout(sys.stderr), _signals_kept():
            yield
    # Not having a file or a network may pass; everything else would fail again.
    except OSError:
        raise
    except BaseException as error:  # a program may raise what it likes; Ctrl-C comes as a signal
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if _is_users(frame.filename)]
        file, line = (own[-1].filename, own[-1].lineno or 0) if own else ("", 0)
        if isinstance(error, SyntaxError) and error.filename:
            file, line = error.filename, error.lineno or 0
        traceback.print_exception(error, file=sys.stderr)
        place = f" at {place_of(file, line)}" if file else ""
        said = f"sys.exit({error.code!r}) was called" if isinstance(error, SystemExit) else str(error)
        if isinstance(error, KeyError) and error.args:  # whose text is a repr, with all codes of a terminal in it
            said = str(error.args[0])
        raise BadInput(f"{what}: {type(error).__name__}{place}: {one_line(said, 500)}") from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back who hears of a request to stop: a training has its work to save."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not signal.getsignal(number):
                signal.signal(number, handler)


def _is_users(file: str) -> bool:
    """Return whether a file is no library's, nor ours, nor made up."""
    path = Path(file)
    ours = Path(__file__).parents[1]
    return path.is_file() and "site-packages" not in path.parts and ours not in path.parents and not _is_builtin(path)


def _is_builtin(path: Path) -> bool:
    return Path(inspect.__file__).parent in path.parents and "site-packages" not in path.parts


def place_of(file: str | None, line: int) -> str:
    """Return a line as editors take it, for example model.py:12."""
    return f"{Path(file).name}:{line}" if file else f"line {line}"
