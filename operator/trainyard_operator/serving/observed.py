"""What is there of a ModelService: its children, sorted by revision."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trainyard_api.modelservice import ModelServiceStatus
from trainyard_api.names import (
    CANARY_ANNOTATION,
    LEFT_ANNOTATION,
    OBEYED_ANNOTATION,
    ORDER_ANNOTATION,
    PREVIOUS_ANNOTATION,
    PROGRESS_ANNOTATION,
    PROMOTED_ANNOTATION,
    REVISION_LABEL,
    ROLLED_BACK_ANNOTATION,
)
from trainyard_api.times import from_rfc3339
from trainyard_operator.cluster.children import controlled_by
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import canary, identity
from trainyard_operator.serving.commands import order_in
from trainyard_operator.serving.rollout import Route
from trainyard_operator.serving.room import read_progress
from trainyard_operator.workloads.pods import is_leaving, is_ready


@dataclass(frozen=True, slots=True)
class ObservedService:
    """The children of one ModelService; all but the Service by revision. Pods that leave are not among them."""

    service: Manifest | None
    deployments: Mapping[str, Manifest]
    config_maps: Mapping[str, Manifest]
    pods: Mapping[str, list[Manifest]]

    @property
    def live(self) -> set[str]:
        """The revisions that have children of their own."""
        return {*self.deployments, *self.config_maps}

    def ready(self, revision: str) -> list[Manifest]:
        """The pods of a revision to which a Service sends requests."""
        return [pod for pod in self.pods.get(revision, []) if is_ready(pod)]

    def others_ready(self, *revisions: str) -> bool:
        """Whether pods of any but these revisions are ready."""
        return any(self.ready(revision) for revision in self.pods if revision not in revisions)


NOTHING = ObservedService(service=None, deployments={}, config_maps={}, pods={})


def sort(
    parent: Manifest,
    *,
    services: Iterable[Manifest],
    deployments: Iterable[Manifest],
    config_maps: Iterable[Manifest],
    pods: Iterable[Manifest],
) -> ObservedService:
    """Sort what was found by label, and keep what the parent really controls: labels can be copied, uids cannot."""
    by_revision: dict[str, list[Manifest]] = {}
    for pod in pods:
        if not is_leaving(pod):
            by_revision.setdefault(identity.revision_of(pod), []).append(pod)
    return ObservedService(
        service=controlled_by(parent, services).get(parent["metadata"]["name"]),
        deployments=_by_revision(controlled_by(parent, deployments)),
        config_maps=_by_revision(controlled_by(parent, config_maps)),
        pods=by_revision,
    )


def route_of(observed: ObservedService, status: ModelServiceStatus, now: datetime) -> Route | None:
    """Return where requests go, or None where nothing is there that could take them.

    The Service says it. Where it was deleted or bent, the status remembers which revision had earned the traffic.
    """
    metadata = observed.service["metadata"] if observed.service else {}
    annotations = metadata.get("annotations", {})
    selector = (observed.service or {}).get("spec", {}).get("selector", {})
    stable, beside = canary.read(annotations.get(CANARY_ANNOTATION)) or (selector.get(REVISION_LABEL, ""), None)
    revision, recorded = stable, status.current.revision if status.current else ""
    if revision not in observed.deployments:
        sent_back = canary.Rollback.of(status.rolled_back) if status.rolled_back else None
        told = Route(recorded, now, rolled_back=sent_back, obeyed=status.obeyed or "")
        return told if recorded in observed.deployments else None
    promoted = _time(annotations.get(PROMOTED_ANNOTATION)) or (now if revision == recorded else None)
    sent_back = canary.read_rollback(annotations.get(ROLLED_BACK_ANNOTATION))
    return Route(
        revision,
        promoted,
        annotations.get(PREVIOUS_ANNOTATION),
        canary=beside,
        left=canary.read_left(annotations.get(LEFT_ANNOTATION), now),
        rolled_back=sent_back,
        order=order_in(annotations.get(ORDER_ANNOTATION)),
        obeyed=annotations.get(OBEYED_ANNOTATION, ""),
        progress=read_progress(annotations.get(PROGRESS_ANNOTATION)),
    )


def replicas_of(observed: ObservedService, route: Route | None) -> int:
    """Return how many pods the revision that has the traffic is to have, as long as nobody knows better."""
    return int(observed.deployments[route.revision]["spec"]["replicas"]) if route else 0


def _by_revision(children: Mapping[str, Manifest]) -> dict[str, Manifest]:
    return {revision: child for child in children.values() if (revision := identity.revision_of(child))}


def _time(text: str | None) -> datetime | None:
    try:
        return from_rfc3339(text) if text else None
    except ValueError:
        return None
