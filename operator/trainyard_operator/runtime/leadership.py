"""Which of several operators works: the one that holds a Lease, as client-go elects its leaders.

A leader renews its Lease several times before it ends, and stops working well before that where it cannot. A candidate
takes over a Lease that was given back, or that nobody has renewed for its whole duration. Clocks of two machines are
never compared: each counts from what it has seen itself.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from trainyard_api.times import Clock
from trainyard_operator.cluster.errors import ApiError, NotFound, NotLeading
from trainyard_operator.cluster.kinds import LEASE
from trainyard_operator.cluster.port import Cluster, Manifest

logger = logging.getLogger(__name__)

_TRIES = 5
"""Tries to renew within the duration of a Lease."""
_TRUST = 2 / 3
"""The part of a Lease's duration for which its holder relies on it; the rest is for what he has under way."""
_LONGEST = 600
"""Most seconds that another's Lease is waited for, whatever it says."""


@dataclass(slots=True)
class Leadership:
    """A candidate for one Lease.

    Attributes:
        identity: What the Lease says of its holder; no other process may have the same.
        duration: Seconds after which others may take a Lease that is not renewed.
        holder: Who holds the Lease, as far as is known.
        problem: Why the Lease could not be read or written last.
    """

    cluster: Cluster
    namespace: str
    name: str
    identity: str
    duration: int
    now: Clock = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    holder: str = ""
    problem: str | None = None
    _ends: float = float("-inf")
    _held: Manifest | None = None
    _seen: str = ""
    _seen_at: float = 0.0

    @property
    def leads(self) -> bool:
        """Whether this candidate may work right now."""
        return self.monotonic() < self._ends

    def check(self) -> None:
        """Do nothing for a leader.

        Raises:
            NotLeading: another may lead by now, so nothing is to be written.
        """
        if not self.leads:
            raise NotLeading("this operator does not lead, so it writes nothing")

    def note(self) -> str:
        """Return what a person should know: who leads."""
        if self.leads:
            return "this operator leads"
        leader = f"{self.holder!r} leads" if self.holder else "nobody is known to lead"
        return f"this operator stands by; {leader}{f'; {self.problem}' if self.problem else ''}"

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Work whenever this candidate leads, until cancelled; then give the Lease back.

        Args:
            work: Ends only by an error, or when it is cancelled.
        """
        try:
            while True:
                await self._acquire()
                await self._lead(work)
        finally:
            await self._release()

    async def _acquire(self) -> None:
        while not self.leads:
            await self._try(self.duration * _TRUST)
            if not self.leads:
                await self.sleep(self.duration / _TRIES)
        logger.info("This operator leads: it holds the Lease %s/%s", self.namespace, self.name)

    async def _lead(self, work: Callable[[], Awaitable[None]]) -> None:
        working = asyncio.ensure_future(work())
        try:
            while self.leads:
                if await self._ended(working):
                    await working
                    return
                await self._try(self._ends - self.monotonic())
            logger.warning("This operator leads no longer: %s", self.problem or f"{self.holder!r} does")
        finally:
            # What is under way is stopped before anybody else can hold the Lease.
            self._ends = float("-inf")
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _ended(self, working: asyncio.Future[None]) -> bool:
        """Wait until the Lease is to be renewed; return whether the work has ended before."""
        pause = asyncio.ensure_future(self.sleep(self.duration / _TRIES))
        try:
            await asyncio.wait([working, pause], return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
        return working.done()

    async def _try(self, seconds: float) -> None:
        """Get the Lease or keep it, if it is free or ours; an error leaves things as they are, but for the time."""
        started = self.monotonic()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                self._held = await self._take()
        except TimeoutError:
            self._held, self.problem = None, f"the API server did not answer within {seconds:.1f} s"
        except ApiError as error:
            # Our own last write may have gone through, or another was faster: the next try reads first.
            self._held, self.problem = None, str(error)
        else:
            self.problem = None
            # It counts from before it was written: nobody can have seen it earlier.
            self._ends = started + self.duration * _TRUST if self._held else float("-inf")

    async def _take(self) -> Manifest | None:
        """Write the Lease, if it may be taken, and return it."""
        lease = self._held
        if lease is None:
            try:
                lease = await self.cluster.get(LEASE, self.namespace, self.name, live=True)
            except NotFound:
                return self._hold(await self.cluster.create(LEASE, self._record(None)))
            if not self._is_free(lease):
                return None
        return self._hold(await self.cluster.apply(LEASE, self._record(lease)))

    def _hold(self, lease: Manifest) -> Manifest:
        self.holder = self.identity
        return lease

    def _is_free(self, lease: Manifest) -> bool:
        spec, version = lease.get("spec") or {}, str(lease["metadata"].get("resourceVersion"))
        if version != self._seen:
            self._seen, self._seen_at = version, self.monotonic()
        self.holder = str(spec.get("holderIdentity") or "")
        seconds = spec.get("leaseDurationSeconds")
        lasts = min(seconds, _LONGEST) if isinstance(seconds, int) and seconds > 0 else self.duration
        return self.holder in ("", self.identity) or self.monotonic() > self._seen_at + lasts

    def _record(self, lease: Manifest | None) -> Manifest:
        """Return the Lease as this candidate holds it from now on."""
        before = (lease or {}).get("spec") or {}
        now = _micro_time(self.now())
        spec: Manifest = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.duration,
            "renewTime": now,
            "acquireTime": now,
            "leaseTransitions": 0,
        }
        if before.get("holderIdentity") == self.identity:
            spec |= {name: before[name] for name in ("acquireTime", "leaseTransitions") if name in before}
        elif lease is not None:
            spec["leaseTransitions"] = int(before.get("leaseTransitions") or 0) + 1
        return self._manifest(spec, lease)

    def _manifest(self, spec: Manifest, lease: Manifest | None) -> Manifest:
        # With the version of what was read, only one of several candidates can write.
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]} if lease else {}
        return {"metadata": {"name": self.name, "namespace": self.namespace} | version, "spec": spec}

    async def _release(self) -> None:
        """Let others take over at once, where the Lease is ours."""
        held, self._held, self._ends = self._held, None, float("-inf")
        if held is None:
            return
        spec = held["spec"] | {"holderIdentity": "", "renewTime": _micro_time(self.now())}
        try:
            async with asyncio.timeout(self.duration / _TRIES):
                await self.cluster.apply(LEASE, self._manifest(spec, held))
        except (ApiError, TimeoutError) as error:
            logger.warning("The Lease could not be given back, and ends by itself: %s", error)


def _micro_time(moment: datetime) -> str:
    """Return a `metav1.MicroTime`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
