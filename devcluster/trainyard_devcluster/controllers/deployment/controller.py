"""The Deployment controller's shell."""

from collections.abc import Sequence

from trainyard_devcluster import pods
from trainyard_devcluster.client import AlreadyExistsError, NotFoundError
from trainyard_devcluster.controllers.adoption import adopt
from trainyard_devcluster.controllers.context import Context, enqueue, enqueue_owner
from trainyard_devcluster.controllers.deployment import revision, rolling, template
from trainyard_devcluster.controllers.deployment.rolling import Scale
from trainyard_devcluster.controllers.deployment.spec import DeploymentSpec, parse
from trainyard_devcluster.controllers.deployment.status import deadline, is_complete, status_of
from trainyard_devcluster.controllers.pod_template import owner_reference
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    Object,
    controller_of,
    name_of,
    namespace_of,
    uid_of,
)
from trainyard_devcluster.workqueue import WorkQueue


class DeploymentController:
    """Moves Deployments from one template to the next."""

    name = "deployment-controller"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._client = context.client
        self._recorder = context.recorder(self.name)
        self.queue: WorkQueue[Key] = WorkQueue()
        self._deployments = context.informer(DEPLOYMENTS)
        self._sets = context.informer(REPLICA_SETS)
        self._pods = context.informer(PODS)
        self._deployments.on_change(lambda old, new: enqueue(self.queue, new or old))
        self._sets.on_change(lambda old, new: enqueue_owner(self.queue, "Deployment", new or old))
        self._pods.on_change(self._pod_changed)

    async def sync(self, key: Key) -> None:
        """Bring one Deployment forward."""
        deployment = self._deployments.get(*key)
        if deployment is None:
            return
        spec = parse(deployment)
        if not pods.is_terminating(deployment):
            await adopt(self._client, deployment, self._sets)
            deployment = await self._forward(deployment, spec)
        await self._report(deployment, spec)

    async def _forward(self, deployment: Object, spec: DeploymentSpec) -> Object:
        new, old = self._sides(deployment)
        if spec.paused or rolling.is_resized(spec, [*old, *([new] if new else [])]):
            await self._apply(deployment, spec, rolling.resize(spec, new, old))
            return deployment
        if spec.recreate:
            await self._apply(deployment, spec, [Scale(entry, 0) for entry in old if rolling.replicas_of(entry)])
            if any(map(self._still_runs, old)):
                return deployment
        new = await self._current(deployment, spec, new, old)
        deployment = await self._mark(deployment, new)
        await self._apply(deployment, spec, rolling.roll(spec, new, old))
        return deployment

    async def _report(self, deployment: Object, spec: DeploymentSpec) -> None:
        now = self._context.now()
        new, old = self._sides(deployment)
        status = status_of(deployment, spec, new, old, now)
        if status != deployment.get("status"):
            deployment = await self._client.update_status(DEPLOYMENTS, deployment | {"status": status})
            self._deployments.observe(deployment)
        end = deadline(deployment, spec)
        if end is not None:
            wait = (end - now).total_seconds()
            self.queue.add_after((namespace_of(deployment), name_of(deployment)), max(0.01, wait))
        if is_complete(spec, status):
            for entry in revision.outdated(spec, old):
                await self._delete(entry)

    def _sides(self, deployment: Object) -> tuple[Object | None, list[Object]]:
        sets = self._sets.by_index("controller", uid_of(deployment))
        new = template.current(deployment, sets)
        return new, [entry for entry in sets if entry is not new]

    async def _current(
        self, deployment: Object, spec: DeploymentSpec, new: Object | None, old: Sequence[Object]
    ) -> Object:
        annotations = revision.annotations_for(deployment, new, old, spec)
        if new is not None:
            min_ready = deployment["spec"].get("minReadySeconds", 0)
            present = (new["metadata"].get("annotations") or {}, new["spec"].get("minReadySeconds", 0))
            if present == (annotations, min_ready):
                return new
            metadata = new["metadata"] | {"annotations": annotations}
            return await self._write(new | {"metadata": metadata, "spec": new["spec"] | {"minReadySeconds": min_ready}})
        return await self._create(deployment, annotations, rolling.first_scale(spec, old))

    async def _create(self, deployment: Object, annotations: dict[str, str], replicas: int) -> Object:
        collisions = deployment.get("status", {}).get("collisionCount") or 0
        digest = template.template_hash(deployment["spec"]["template"], collisions)
        labelled = template.labelled(deployment["spec"]["template"], digest)
        selector = deployment["spec"]["selector"]
        match_labels = (selector.get("matchLabels") or {}) | {template.HASH_LABEL: digest}
        body: Object = {
            "metadata": {
                "name": f"{name_of(deployment)}-{digest}",
                "namespace": namespace_of(deployment),
                "labels": labelled["metadata"]["labels"],
                "annotations": annotations,
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": {
                "replicas": replicas,
                "minReadySeconds": deployment["spec"].get("minReadySeconds", 0),
                "selector": selector | {"matchLabels": match_labels},
                "template": labelled,
            },
        }
        try:
            made = await self._client.create(REPLICA_SETS, body)
        except AlreadyExistsError:
            return await self._settle_collision(deployment, body, collisions)
        self._sets.observe(made)
        if replicas:
            message = f"Scaled up replica set {name_of(made)} from 0 to {replicas}"
            await self._recorder.normal(deployment, "ScalingReplicaSet", message)
        return made

    async def _settle_collision(self, deployment: Object, body: Object, collisions: int) -> Object:
        taken = await self._client.get(REPLICA_SETS, name_of(body), namespace_of(body))
        owner = controller_of(taken)
        if owner and owner["uid"] == uid_of(deployment):
            if template.is_same(deployment["spec"]["template"], taken["spec"]["template"]):
                self._sets.observe(taken)
                return taken
            # Two templates with one hash: count it, so that the next try takes another name.
            status = deployment.get("status", {}) | {"collisionCount": collisions + 1}
            changed = await self._client.update_status(DEPLOYMENTS, deployment | {"status": status})
            self._deployments.observe(changed)
        raise AlreadyExistsError(409, {"message": f"replica set {name_of(body)} is somebody else's"})

    async def _mark(self, deployment: Object, new: Object) -> Object:
        if revision.revision_of(deployment) == revision.revision_of(new):
            return deployment
        change = {"metadata": {"annotations": {revision.REVISION_ANNOTATION: str(revision.revision_of(new))}}}
        marked = await self._client.patch(DEPLOYMENTS, name_of(deployment), change, namespace_of(deployment))
        self._deployments.observe(marked)
        return marked

    async def _apply(self, deployment: Object, spec: DeploymentSpec, scales: Sequence[Scale]) -> None:
        for scale in scales:
            before = rolling.replicas_of(scale.replica_set)
            metadata = scale.replica_set["metadata"]
            annotations = (metadata.get("annotations") or {}) | revision.size_annotations(spec)
            await self._write(
                scale.replica_set
                | {
                    "metadata": metadata | {"annotations": annotations},
                    "spec": scale.replica_set["spec"] | {"replicas": scale.replicas},
                }
            )
            way = "up" if scale.replicas > before else "down"
            message = f"Scaled {way} replica set {name_of(scale.replica_set)} from {before} to {scale.replicas}"
            await self._recorder.normal(deployment, "ScalingReplicaSet", message)

    async def _write(self, replica_set: Object) -> Object:
        written = await self._client.update(REPLICA_SETS, replica_set)
        self._sets.observe(written)
        return written

    async def _delete(self, replica_set: Object) -> None:
        try:
            await self._client.delete(
                REPLICA_SETS, name_of(replica_set), namespace_of(replica_set), uid=uid_of(replica_set)
            )
        except NotFoundError:
            return

    def _still_runs(self, replica_set: Object) -> bool:
        own = self._pods.by_index("controller", uid_of(replica_set))
        return rolling.replicas_of(replica_set) > 0 or any(not pods.is_terminal(pod) for pod in own)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        # A Recreate waits for the last old pod to end; everything else comes by way of the ReplicaSets' status.
        gone = new is None or pods.is_terminal(new)
        owner = controller_of(new or old or {})
        if not gone or owner is None or owner["kind"] != "ReplicaSet":
            return
        replica_set = self._sets.get(namespace_of(new or old or {}), owner["name"])
        enqueue_owner(self.queue, "Deployment", replica_set)
