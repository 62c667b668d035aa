"""The operator's cache in front of a fake cluster, with watches that tell what has happened when a test says so."""

from support.fake_cluster import FakeCluster
from trainyard_api.names import MANAGED_BY, MANAGED_BY_LABEL
from trainyard_operator.cluster.cached import Cache, CachedCluster, Feed
from trainyard_operator.cluster.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    MODEL_SERVICE,
    POD,
    QUOTA,
    SERVICE,
    TRAINING_JOB,
    Kind,
)
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.cluster.store import Store
from trainyard_operator.serving.optional_children import OPTIONAL_KINDS

_CHILDREN = (CONFIG_MAP, DEPLOYMENT, JOB, POD, SERVICE, *(optional.kind for optional in OPTIONAL_KINDS))
_WHOLE = (CLAIM, QUOTA, MODEL_SERVICE, TRAINING_JOB)
_OURS = {MANAGED_BY_LABEL: MANAGED_BY}


class Watching:
    """Watches a fake cluster.

    Attributes:
        port: What a reconciler gets to see.
        reliable: Whether the watches work.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self.reliable = True
        self.stores = {kind: Store() for kind in (*_CHILDREN, *_WHOLE)}
        self._untold: list[tuple[str, str, Manifest]] = []
        cluster.on_change = lambda *event: self._untold.append(event)
        feeds = {
            (kind, None): Feed(store, _OURS if kind in _CHILDREN else {}, lambda: self.reliable)
            for kind, store in self.stores.items()
        }
        self.port = CachedCluster(cluster, Cache(feeds))
        self._cluster = cluster
        self.relist()

    def relist(self) -> None:
        """List everything anew, as watches that start over do."""
        for kind, store in self.stores.items():
            found = self._cluster.peek(kind, labels=_OURS if kind in _CHILDREN else None)
            store.listed(found, str(self._cluster.version))

    def tell(self, *kinds: Kind) -> None:
        """Deliver the events so far: those of some kinds, or all."""
        wanted = {kind.plural for kind in kinds or self.stores}
        told = [event for event in self._untold if event[1] in wanted]
        self._untold = [event for event in self._untold if event[1] not in wanted]
        for change, plural, manifest in told:
            kind = next((kind for kind in self.stores if kind.plural == plural), None)
            if kind is not None and (kind in _WHOLE or _OURS.items() <= manifest["metadata"].get("labels", {}).items()):
                self.stores[kind].saw(manifest, gone=change == "DELETED")

    def lie(self, kind: Kind) -> None:
        """Have a list without an item take the place of what is there."""
        self.tell()
        self.stores[kind].listed([], str(self._cluster.version))
