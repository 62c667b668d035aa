"""A client that sends one request after another, never tries one twice, and counts what failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from trainyard_devcluster.predict import PredictionFailed, Predictor, Row

PAUSE_SECONDS = 0.02


@dataclass(slots=True)
class Tally:
    """What became of the requests."""

    answered: Counter[str] = field(default_factory=Counter)
    versions: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """All requests so far."""
        return self.answered.total() + len(self.failures)


@asynccontextmanager
async def steady_traffic(predictor: Predictor, row: Row) -> AsyncIterator[Tally]:
    """Send requests by REST and by gRPC for as long as the block runs."""
    tally = Tally()
    clients = [asyncio.create_task(_rest(predictor, row, tally)), asyncio.create_task(_grpc(predictor, row, tally))]
    try:
        yield tally
    finally:
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _rest(predictor: Predictor, row: Row, tally: Tally) -> None:
    while True:
        try:
            await predictor.rest(row)
            tally.answered["REST"] += 1
        except PredictionFailed as failure:
            tally.failures.append(f"REST {failure}")
        await asyncio.sleep(PAUSE_SECONDS)


async def _grpc(predictor: Predictor, row: Row, tally: Tally) -> None:
    while True:
        try:
            _, version = await predictor.grpc(row)
            tally.answered["gRPC"] += 1
            tally.versions[version] += 1
        except PredictionFailed as failure:
            tally.failures.append(f"gRPC {failure}")
        await asyncio.sleep(PAUSE_SECONDS)
