"""Lets a claim go that is being deleted, once no pod uses it."""

from collections.abc import Iterator

from trainyard_devcluster import pods
from trainyard_devcluster.client import NotFoundError
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import PERSISTENT_VOLUME_CLAIMS, PODS, Object, name_of, namespace_of, uid_of
from trainyard_devcluster.workqueue import WorkQueue

FINALIZER = "kubernetes.io/pvc-protection"


def claims_of(pod: Object) -> Iterator[str]:
    """The names of the claims that a pod mounts."""
    for volume in pod["spec"].get("volumes") or ():
        if name := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
            yield name
        elif volume.get("ephemeral"):
            yield f"{name_of(pod)}-{volume['name']}"


def uses(pod: Object, claim: str) -> bool:
    """Whether a pod holds a claim. A finished pod does, until it is deleted; one without a node does not yet."""
    return bool(pod["spec"].get("nodeName")) and claim in claims_of(pod)


class ClaimProtectionController:
    """Takes the finalizer off claims that are being deleted and that nobody uses."""

    name = "pvc-protection-controller"

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self.queue: WorkQueue[Key] = WorkQueue()
        self._claims = context.informer(PERSISTENT_VOLUME_CLAIMS)
        self._pods = context.informer(PODS)
        self._claims.on_change(lambda old, new: enqueue(self.queue, new))
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: Key) -> None:
        """Let one claim go, if its time has come."""
        namespace, name = key
        claim = self._claims.get(*key)
        if claim is None or not pods.is_terminating(claim):
            return
        held = claim["metadata"].get("finalizers") or ()
        if FINALIZER not in held or any(uses(pod, name) for pod in self._pods.by_index("namespace", namespace)):
            return
        kept = [finalizer for finalizer in held if finalizer != FINALIZER]
        # Lists are replaced whole, so only where they are still what was read.
        metadata = {"uid": uid_of(claim), "resourceVersion": claim["metadata"]["resourceVersion"], "finalizers": kept}
        try:
            await self._client.patch(PERSISTENT_VOLUME_CLAIMS, name, {"metadata": metadata}, namespace)
        except NotFoundError:
            return

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            for claim in claims_of(old):
                self.queue.add((namespace_of(old), claim))
