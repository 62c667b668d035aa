"""Brings the children of a ModelService to what the plan says."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from trainyard_api.profile import TrainingProfile
from trainyard_api.queueing import ChildMetadata
from trainyard_api.times import to_rfc3339, utc_now
from trainyard_operator.cluster.children import ensure
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE, Kind
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.serving import build, identity
from trainyard_operator.serving.observed import ObservedService
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.profile import over_limit, with_profile
from trainyard_operator.serving.revision import Revision
from trainyard_operator.serving.rollout import Plan, Step
from trainyard_operator.workloads.blockers import REFUSALS, Blocker, of_refusal, spec_errors
from trainyard_operator.workloads.profiles import Profiles, noted

_PATIENCE = timedelta(minutes=5)
"""Least time between two replacements of a revision's pods: whoever unloads models must not keep them restarting."""


@dataclass(frozen=True, slots=True)
class ServiceChildren:
    """Writes the children of one ModelService; nothing is written where all is as its spec wants it.

    Attributes:
        owner: The ModelService as the API server has it.
        metadata: What its spec wants on all children.
    """

    cluster: Cluster
    owner: Manifest
    fetch_images: FetchImages
    profiles: Profiles = field(default_factory=Profiles)
    now: datetime = field(default_factory=utc_now)
    metadata: ChildMetadata | None = None

    async def carry_out(
        self, plan: Plan, observed: ObservedService, *, target: Revision | None, replicas: int
    ) -> Blocker | None:
        """Carry out the plan; return what kept it from being carried out to its end.

        The order is what makes it safe to be killed anywhere: no traffic to what is not there, and nothing is removed
        before the traffic has left it.
        """
        try:
            if target is not None and plan.step is not Step.ROLLED_BACK:
                blocker = await self._bring_up(target, observed, replicas if plan.replicas is None else plan.replicas)
                if blocker is not None:
                    return blocker
            if plan.route is not None:
                # Before the old revision loses a pod: a successor knows then that it made room, and keeps it so.
                service = identity.with_metadata(build.stable_service(self.owner, plan.route), self.metadata)
                await ensure(self.cluster, SERVICE, service, observed.service)
                if plan.route.promoted is not None and (target is None or plan.route.revision != target.id):
                    stable = replicas if plan.stable is None else plan.stable
                    await self._scale(observed.deployments[plan.route.revision], stable)
        except REFUSALS as error:
            return of_refusal(error, "the service")
        for revision in plan.park:
            live = observed.deployments[revision]
            await ensure(self.cluster, DEPLOYMENT, build.parked(live, self.now), live)
        for revision in plan.remove:
            await self._remove(DEPLOYMENT, observed.deployments.get(revision))
            await self._remove(CONFIG_MAP, observed.config_maps.get(revision))
        return None

    async def restart(self, live: Manifest) -> None:
        """Replace the pods of a revision that have lost their model, unless that was just done.

        A new pod brings its model with it. The old ones go on until it answers, as in any rolling update.
        """
        if build.restarted(live) <= to_rfc3339(self.now - _PATIENCE):
            await ensure(self.cluster, DEPLOYMENT, build.restart(live, self.now), live)

    async def _bring_up(self, target: Revision, observed: ObservedService, replicas: int) -> Blocker | None:
        # A revision's children are written once: an operator, or a profile, that would make others leaves them alone.
        profile: TrainingProfile | None = None
        if target.id not in observed.deployments:
            choice = await self.profiles.choose(self.cluster, target.profile, self.now)
            profile, blocker = choice.profile, choice.blocker
            if profile is not None:
                blocker, target = over_limit(target, profile), with_profile(target, profile)
            if blocker is not None:
                return blocker
        with spec_errors():
            config_map = build.config_map(self.owner, target)
            deployment = build.deployment(self.owner, target, replicas=replicas, fetch_images=self.fetch_images)
        if profile is not None:
            deployment["metadata"]["annotations"] |= noted(profile)
        config_map, deployment = (identity.with_metadata(child, self.metadata) for child in (config_map, deployment))
        template = identity.with_metadata(deployment["spec"]["template"], self.metadata)
        deployment["spec"] |= {"template": template}
        if target.id not in observed.config_maps:
            await ensure(self.cluster, CONFIG_MAP, config_map, None)
        if target.id in observed.deployments:
            await self._scale(observed.deployments[target.id], replicas)
        else:
            await ensure(self.cluster, DEPLOYMENT, deployment, None)
        return None

    async def _scale(self, live: Manifest, replicas: int) -> None:
        await ensure(self.cluster, DEPLOYMENT, build.scale(live, replicas), live)

    async def _remove(self, kind: Kind, child: Manifest | None) -> None:
        if child is not None and "deletionTimestamp" not in child["metadata"]:
            metadata = child["metadata"]
            await self.cluster.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])
