"""Reads the requests of canaries from the pods' own metrics, and judges them."""

from dataclasses import dataclass, field
from datetime import datetime

from trainyard_api.rollout import Analysis
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.serving.analysis import Findings, Windows, judge
from trainyard_operator.serving.observed import ObservedService
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.rollout import Route
from trainyard_operator.serving.server_metrics import ServerMetrics
from trainyard_operator.serving.server_metrics_reader import ScrapedServer, ServerMetricsSource
from trainyard_operator.workloads import pods


@dataclass(frozen=True, slots=True)
class CanaryAnalyst:
    """Knows what the requests of each canary are like.

    Attributes:
        windows: What was counted of the requests of each canary. Lost with the operator: the next one counts anew, and
            too few requests are no verdict.
    """

    source: ServerMetricsSource
    windows: Windows = field(default_factory=Windows)

    def forget(self, key: Key) -> None:
        """Forget a service that has no canary."""
        self.windows.forget(key)

    async def findings(
        self,
        key: Key,
        analysis: Analysis | None,
        observed: ObservedService,
        *,
        target: Revision,
        route: Route | None,
        now: datetime,
    ) -> Findings | None:
        """Return what the requests of the canary are like, beside those of the revision that serves.

        None where nobody asks, or there is no canary yet.
        """
        if analysis is None or route is None or route.revision == target.id:
            self.forget(key)
            return None
        revisions = (target.id, route.revision)
        # Asked before there is a canary, a pod is known as it was before its first request.
        readings = [reading for revision in revisions for reading in await self._read(key, observed, revision)]
        canary = route.canary
        if canary is None or canary.revision != target.id:
            self.forget(key)
            return None
        window = self.windows.at(key, canary, now)
        for revision, pod, metrics in readings:
            window.take(revision, pod, metrics)
        of_canary, of_stable = map(window.counted, revisions)
        return judge(analysis, of_canary, of_stable, observed=now - window.began, alone=canary.alone)

    async def _read(self, key: Key, observed: ObservedService, revision: str) -> list[tuple[str, str, ServerMetrics]]:
        found = []
        for pod in observed.ready(revision):
            reading = await self.source.latest(key, ScrapedServer(pods.address(pod), key.name))
            if reading is not None:
                found.append((revision, str(pod["metadata"].get("uid", "")), reading.answer))
        return found
