"""Candidates for one Lease: one works at a time, and another soon where that one cannot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.fake_cluster import FakeCluster
from trainyard_operator.cluster.errors import NotLeading, Unavailable
from trainyard_operator.cluster.kinds import LEASE
from trainyard_operator.runtime.leadership import Leadership

DURATION = 10


@dataclass
class Time:
    """A clock that stands still until somebody moves it, and the sleepers on it."""

    seconds: float = 1000.0
    sleepers: list[tuple[float, asyncio.Future[None]]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.seconds + seconds, sleeper))
        await sleeper

    async def pass_by(self, seconds: float) -> None:
        """Let time go by, half a second at a time."""
        for _ in range(round(seconds * 2)):
            self.seconds += 0.5
            for due, sleeper in self.sleepers:
                if due <= self.seconds and not sleeper.done():
                    sleeper.set_result(None)
            self.sleepers = [entry for entry in self.sleepers if not entry[1].done()]
            for _ in range(20):
                await asyncio.sleep(0)


@dataclass
class Candidate:
    leadership: Leadership
    task: asyncio.Task[None]
    works: bool = False
    begun: int = 0

    async def work(self) -> None:
        self.works, self.begun = True, self.begun + 1
        try:
            await asyncio.Event().wait()
        finally:
            self.works = False


@dataclass
class Election:
    cluster: FakeCluster = field(default_factory=FakeCluster)
    time: Time = field(default_factory=Time)
    candidates: list[Candidate] = field(default_factory=list)

    def stand(self, identity: str, cluster: Any = None) -> Candidate:
        leadership = Leadership(
            cluster or self.cluster, "ops", "operator", identity, DURATION,
            now=self.time.now, monotonic=self.time.monotonic, sleep=self.time.sleep,
        )  # fmt: skip
        candidate = Candidate(leadership, asyncio.get_running_loop().create_task(asyncio.sleep(0)))
        candidate.task = asyncio.create_task(leadership.run(candidate.work))
        self.candidates.append(candidate)
        return candidate

    def lease(self) -> dict[str, Any]:
        (lease,) = self.cluster.peek(LEASE)
        spec: dict[str, Any] = lease["spec"]
        return spec


@asynccontextmanager
async def an_election() -> AsyncIterator[Election]:
    election = Election()
    yield election
    for candidate in election.candidates:
        candidate.task.cancel()
        with suppress(asyncio.CancelledError):
            await candidate.task


class Cut:
    """A way to the API server that can be cut."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.is_cut = False

    def __getattr__(self, name: str) -> Any:
        if self.is_cut:
            raise Unavailable("no way to the API server")
        return getattr(self._cluster, name)


async def test_the_first_leads_and_the_second_stands_by() -> None:
    async with an_election() as election:
        first = election.stand("first")
        await election.time.pass_by(1)
        second = election.stand("second")
        await election.time.pass_by(60)

        assert (first.works, second.works) == (True, False)
        assert first.leadership.note() == "this operator leads"
        assert second.leadership.note() == "this operator stands by; 'first' leads"
        with pytest.raises(NotLeading):
            second.leadership.check()
        lease = election.lease()
        assert lease["holderIdentity"] == "first"
        assert lease["leaseDurationSeconds"] == DURATION
        assert lease["leaseTransitions"] == 0
        assert lease["acquireTime"] < lease["renewTime"]
        assert lease["renewTime"].endswith("Z")


async def test_a_leader_that_ends_well_hands_over_at_once() -> None:
    async with an_election() as election:
        first = election.stand("first")
        await election.time.pass_by(1)
        second = election.stand("second")
        await election.time.pass_by(5)
        first.task.cancel()
        await election.time.pass_by(2.5)

        assert (first.works, second.works) == (False, True)
        assert election.lease()["holderIdentity"] == "second"
        assert election.lease()["leaseTransitions"] == 1


async def test_a_leader_that_dies_is_followed_when_its_lease_is_over() -> None:
    async with an_election() as election:
        way = Cut(election.cluster)
        election.stand("first", way)
        await election.time.pass_by(1)
        second = election.stand("second")
        await election.time.pass_by(4)
        way.is_cut = True

        await election.time.pass_by(DURATION - 2.5)
        assert not second.works
        await election.time.pass_by(5)
        assert second.works


async def test_a_leader_that_cannot_renew_stops_before_another_can_begin() -> None:
    async with an_election() as election:
        way = Cut(election.cluster)
        first = election.stand("first", way)
        await election.time.pass_by(1)
        second = election.stand("second")
        await election.time.pass_by(4)
        way.is_cut = True

        for _ in range(60):
            await election.time.pass_by(0.5)
            assert not (first.works and second.works)
            if not first.leadership.leads:
                with pytest.raises(NotLeading):
                    first.leadership.check()
        assert (first.works, second.works) == (False, True)
        assert "no way to the API server" in first.leadership.note()

        way.is_cut = False
        await election.time.pass_by(30)
        assert (first.works, second.works) == (False, True)
        second.task.cancel()
        await election.time.pass_by(3)
        assert first.works
        assert first.begun == 2


async def test_a_leader_whose_answer_is_lost_goes_on() -> None:
    async with an_election() as election:
        first = election.stand("first")
        await election.time.pass_by(3)
        election.cluster.failure = Unavailable("the answer is lost")
        election.cluster.fail_after = len(election.cluster.calls)
        await election.time.pass_by(20)

        assert first.works
        assert first.begun == 1
        assert election.lease()["leaseTransitions"] == 0


async def test_a_lease_that_somebody_else_took_is_given_up_at_once() -> None:
    async with an_election() as election:
        first = election.stand("first")
        await election.time.pass_by(1)
        lease = election.cluster.peek(LEASE)[0]
        election.cluster.put(LEASE, lease | {"spec": lease["spec"] | {"holderIdentity": "intruder"}})
        await election.time.pass_by(5)

        assert not first.works
        assert first.leadership.holder == "intruder"
        await election.time.pass_by(DURATION + 3)
        assert first.works


async def test_a_lease_that_somebody_deleted_is_made_anew() -> None:
    async with an_election() as election:
        first = election.stand("first")
        await election.time.pass_by(1)
        election.cluster.remove(LEASE, "ops", "operator")
        await election.time.pass_by(10)

        assert first.works
        assert election.lease()["holderIdentity"] == "first"


@pytest.mark.parametrize("seconds", [10**9, 0, None], ids=["for ever", "nothing", "unsaid"])
async def test_whatever_a_lease_says_it_is_not_waited_for_for_ever(seconds: int | None) -> None:
    async with an_election() as election:
        spec = {"holderIdentity": "gone"} | ({} if seconds is None else {"leaseDurationSeconds": seconds})
        election.cluster.put(LEASE, {"metadata": {"name": "operator", "namespace": "ops"}, "spec": spec})
        first = election.stand("first")
        await election.time.pass_by(615)

        assert first.works


async def test_work_that_fails_ends_the_candidate_and_frees_the_lease() -> None:
    async with an_election() as election:
        leadership = Leadership(election.cluster, "ops", "operator", "first", DURATION)

        async def fail() -> None:
            raise ValueError("a worker died")

        with pytest.raises(ValueError, match="a worker died"):
            await leadership.run(fail)
        assert election.lease()["holderIdentity"] == ""
