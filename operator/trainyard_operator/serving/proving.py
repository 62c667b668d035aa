"""What a new revision has to prove, beside having its model, before it gets any traffic."""

from dataclasses import dataclass

from trainyard_api.modelservice import ModelService
from trainyard_operator.cluster.errors import NotFound
from trainyard_operator.cluster.kinds import CONFIG_MAP
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.runtime.reconciler import Key
from trainyard_operator.serving import checks, signatures
from trainyard_operator.serving.model_status_reader import Served
from trainyard_operator.serving.revision_reader import Checked, RevisionSource
from trainyard_operator.serving.source import ModelVersion
from trainyard_operator.workloads import pods
from trainyard_operator.workloads.blockers import Blocker

_ASKING = Blocker(checks.CHECKING, "a new pod answers, and is asked what else it has to prove", transient=True)


@dataclass(frozen=True, slots=True)
class Server:
    """A pod that has its model."""

    pod: Manifest
    model: ModelVersion

    def served(self, service: str) -> Served:
        """Return it as it is asked."""
        return Served(pods.address(self.pod), service, self.model.version)


@dataclass(frozen=True, slots=True)
class Proving:
    """Asks the pods of one service.

    Attributes:
        answers: What pods say.
    """

    cluster: Cluster
    answers: RevisionSource
    key: Key

    async def unproven(self, service: ModelService, new: Server, serving: Server | None) -> Blocker | None:
        """Return what keeps a new revision from the traffic, or None where nothing does.

        Args:
            new: A pod of the new revision.
            serving: A pod of the one that serves, if any answers.
        """
        refused = None
        if serving is not None and not service.spec.model.allow_signature_change:
            refused = await self._signatures(new, serving)
        return refused or await self._checks(service, new)

    async def _signatures(self, new: Server, serving: Server) -> Blocker | None:
        own = await self.answers.signatures(self.key, new.served(self.key.name))
        other = await self.answers.signatures(self.key, serving.served(self.key.name))
        if own is None or other is None:
            return _ASKING
        return signatures.blocker(other, own, old_title=serving.model.title, new_title=new.model.title)

    async def _checks(self, service: ModelService, new: Server) -> Blocker | None:
        wanted = service.spec.checks
        if not wanted:
            return None
        names = sorted({check.config_map_key_ref.name for check in wanted if check.config_map_key_ref})
        config_maps = {name: await self._config_map(name) for name in names}
        requests = checks.golden_requests(wanted, config_maps)
        if isinstance(requests, Blocker):
            return requests
        result = await self.answers.checks(self.key, Checked(new.served(self.key.name), requests))
        return checks.blocker(result, new.pod["metadata"]["name"]) if result else _ASKING

    async def _config_map(self, name: str) -> Manifest | None:
        try:
            return await self.cluster.get(CONFIG_MAP, self.key.namespace, name)
        except NotFound:
            return None


def oldest(candidates: list[Manifest]) -> Manifest | None:
    """Return the pod to ask: always the same, as long as it is there."""
    ready = [(pods.created(pod), pod["metadata"]["name"]) for pod in candidates]
    return candidates[ready.index(min(ready))] if ready else None
