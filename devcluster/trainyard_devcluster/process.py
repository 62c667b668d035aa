"""The shell around each of the devcluster's processes: logging, and an orderly end on SIGINT and SIGTERM."""

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from trainyard_devcluster.kubeconfig import KubeconfigError


def run(main: Coroutine[Any, Any, None], *, verbose: bool = False) -> int:
    """Run a part until it ends or a signal ends it; returns the exit code: 1 where its kubeconfig is of no use."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    return asyncio.run(_until_signal(main))


async def _until_signal(main: Coroutine[Any, Any, None]) -> int:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        logging.getLogger(__name__).info("stopped")
    except KubeconfigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
