"""Waiting for what nothing announces, with a deadline."""

import asyncio
from collections.abc import Callable

LOOK_SECONDS = 0.005


async def eventually(holds: Callable[[], object], *, seconds: float = 10) -> None:
    """Return as soon as `holds()` is true. TimeoutError where that takes longer."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - files and processes have no event to wait for
            await asyncio.sleep(LOOK_SECONDS)
