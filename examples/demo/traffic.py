"""Clients that send one request after another and never try one twice: what failed, and which version answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from demo.predict import PredictionFailed, Predictor, Row

PAUSE_SECONDS = 0.02
TOLERANCE = 1e-5


@dataclass(slots=True)
class Tally:
    """What became of the requests.

    Attributes:
        rest: How often REST answered with which probability: its answers do not name the version that gave them.
        grpc: How often gRPC was answered by which version.
        probabilities: What each version says of the row, by gRPC.
        failures: What went wrong, in the words of the client.
    """

    rest: Counter[float] = field(default_factory=Counter)
    grpc: Counter[int] = field(default_factory=Counter)
    probabilities: dict[int, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """All requests so far."""
        return self.rest.total() + self.grpc.total() + len(self.failures)

    def versions(self) -> dict[str, dict[str, int]]:
        """Return how many answers came from each version by each protocol; from `?` where no version says so."""
        by_rest: Counter[str] = Counter()
        for probability, count in self.rest.items():
            by_rest[self._version_that_says(probability)] += count
        by_grpc = {str(version): count for version, count in self.grpc.items()}
        return {"REST": dict(sorted(by_rest.items())), "gRPC": dict(sorted(by_grpc.items()))}

    def _version_that_says(self, probability: float) -> str:
        alike = [version for version, said in self.probabilities.items() if abs(said - probability) < TOLERANCE]
        return str(alike[0]) if len(alike) == 1 else "?"


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
            prediction = await predictor.rest(row)
            tally.rest[float(prediction["probability"])] += 1
        except PredictionFailed as failure:
            tally.failures.append(f"REST {failure}")
        await asyncio.sleep(PAUSE_SECONDS)


async def _grpc(predictor: Predictor, row: Row, tally: Tally) -> None:
    while True:
        try:
            prediction, version = await predictor.grpc(row)
            tally.grpc[version] += 1
            tally.probabilities[version] = float(prediction["probability"])
        except PredictionFailed as failure:
            tally.failures.append(f"gRPC {failure}")
        await asyncio.sleep(PAUSE_SECONDS)
