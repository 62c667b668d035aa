"""Tasks that work beside the rest: whoever starts one hears of its failure."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


def spawn(coroutine: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
    """Start a task whose failure, if nobody awaits it, is logged under this name. The caller keeps it."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: "asyncio.Task[Any]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("%s failed", task.get_name(), exc_info=error)
