"""`python -m trainyard_modelserver`: tensorflow_model_server's command line."""

import logging
import os
import sys
from collections.abc import Sequence

from . import flags

_PROGRAM = "tensorflow_model_server"
_FAILED = 255


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal ends the process; returns an exit code where it never gets that far."""
    line = flags.parse(arguments)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s.%(msecs)03d: %(levelname).1s %(name)s:%(lineno)d] %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",
    )
    for error in line.errors:
        logging.error("%s", error)
    if not line.ok:
        print(flags.usage(_PROGRAM), end="")
        return _FAILED
    if line.unknown:
        print(f"unknown argument: {line.unknown[0]}\n{flags.usage(_PROGRAM)}", flush=True)
    return _serve(line.options)


def _serve(options: flags.Options) -> int:
    # Everything from here on needs TensorFlow, which takes most of the time that a start takes.
    from . import slim

    slim.prepare()
    if options.version:
        from importlib.metadata import version

        print(f"TensorFlow ModelServer: {version('tensorflow-serving-api')} (Trainyard's compatible server)")
        print(f"TensorFlow Library: {slim.runtime().version}")
        return 0

    from .errors import ServingError
    from .server import Server

    try:
        server = Server(options)
        server.start()
    except ServingError as error:
        print(f"Failed to start server. Error: {error}", flush=True)
        return _FAILED
    server.wait()
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Not sys.exit(): that waits for threads, and a load of another model may sleep a minute before its next try.
    os._exit(code)
