"""Says which line of a user's code went wrong."""

import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainyard_trainer.errors import BadInput, one_line


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turn what a user's code raises into a message with the line it came from."""
    try:
        yield
    # Not having a file or a network may pass; everything else would fail again.
    except OSError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [each for each in frames if _is_users(each.filename)]
        file, line = (own[-1].filename, own[-1].lineno or 0) if own else ("", 0)
        if isinstance(error, SyntaxError) and error.filename:
            file, line = error.filename, error.lineno or 0
        traceback.print_exception(error, file=sys.stderr)
        place = f" at {place_of(file, line)}" if file else ""
        raise BadInput(f"{what}: {type(error).__name__}{place}: {one_line(error, 500)}") from error


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
