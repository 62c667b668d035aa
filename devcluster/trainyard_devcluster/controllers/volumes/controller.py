"""The shell that binds claims to volumes, and asks provisioners for those that are missing."""

from trainyard_devcluster import pods
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.volumes import binding
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Object,
    name_of,
    namespace_of,
    uid_of,
)
from trainyard_devcluster.workqueue import WorkQueue


class VolumeController:
    """Keys with a namespace are claims, those without are volumes."""

    name = "persistentvolume-controller"

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._recorder = context.recorder(self.name)
        self.queue: WorkQueue[Key] = WorkQueue()
        self._claims = context.informer(PERSISTENT_VOLUME_CLAIMS)
        self._volumes = context.informer(PERSISTENT_VOLUMES)
        self._classes = context.informer(STORAGE_CLASSES)
        self._claims.on_change(self._claim_changed)
        self._volumes.on_change(self._volume_changed)
        self._classes.on_change(lambda old, new: self._queue_pending())

    async def sync(self, key: Key) -> None:
        """Bring one claim or one volume forward."""
        if key[0]:
            claim = self._claims.get(*key)
            if claim is not None and not pods.is_terminating(claim):
                await self._sync_claim(claim)
        elif (volume := self._volumes.get(*key)) is not None:
            await self._sync_volume(volume)

    async def _sync_claim(self, claim: Object) -> None:
        bound_to = claim["spec"].get("volumeName")
        if bound_to:
            volume = self._volumes.get("", bound_to)
            if volume is None:
                known = claim.get("status", {}).get("phase") == "Bound"
                await self._set_claim_phase(claim, "Lost" if known else "Pending")
            elif volume["spec"].get("claimRef") is None or binding.is_for(volume, claim):
                await self._bind(claim, volume)
            return
        class_name = binding.class_of(claim, self._classes)
        volume = binding.best_volume(claim, class_name, self._volumes)
        if volume is not None:
            await self._bind(claim, volume)
        else:
            await self._set_claim_phase(await self._ask_for_volume(claim, class_name), "Pending")

    async def _ask_for_volume(self, claim: Object, class_name: str) -> Object:
        if not class_name:
            message = "no persistent volumes available for this claim and no storage class is set"
            await self._recorder.normal(claim, "FailedBinding", message)
            return claim
        storage_class = self._classes.get("", class_name)
        if storage_class is None:
            message = f'storageclass.storage.k8s.io "{class_name}" not found'
            await self._recorder.warning(claim, "ProvisioningFailed", message)
            return claim
        provisioner = storage_class["provisioner"]
        annotations = claim["metadata"].get("annotations") or {}
        if annotations.get(binding.PROVISIONER_ANNOTATION) == provisioner:
            return claim
        marked = annotations | {binding.PROVISIONER_ANNOTATION: provisioner}
        body = claim | {"metadata": claim["metadata"] | {"annotations": marked}}
        claim = await self._client.update(PERSISTENT_VOLUME_CLAIMS, body)
        self._claims.observe(claim)
        message = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        await self._recorder.normal(claim, "ExternalProvisioning", message)
        return claim

    async def _bind(self, claim: Object, volume: Object) -> None:
        # The volume first: its claimRef is what keeps two claims from getting one volume.
        if (volume["spec"].get("claimRef") or {}).get("uid") != uid_of(claim):
            spec = volume["spec"] | {"claimRef": binding.reference_to(claim)}
            volume = await self._client.update(PERSISTENT_VOLUMES, volume | {"spec": spec})
            self._volumes.observe(volume)
        await self._set_volume_phase(volume, "Bound")
        if claim["spec"].get("volumeName") != name_of(volume):
            marks = {binding.BIND_COMPLETED_ANNOTATION: "yes", binding.BOUND_BY_CONTROLLER_ANNOTATION: "yes"}
            metadata = claim["metadata"]
            spec = claim["spec"] | {"volumeName": name_of(volume)}
            if spec.get("storageClassName") is None and volume["spec"].get("storageClassName"):
                spec["storageClassName"] = volume["spec"]["storageClassName"]
            annotations = (metadata.get("annotations") or {}) | marks
            body = claim | {"metadata": metadata | {"annotations": annotations}, "spec": spec}
            claim = await self._client.update(PERSISTENT_VOLUME_CLAIMS, body)
            self._claims.observe(claim)
        status = {
            "phase": "Bound",
            "accessModes": volume["spec"]["accessModes"],
            "capacity": {"storage": volume["spec"]["capacity"]["storage"]},
        }
        if claim.get("status", {}) | status != claim.get("status", {}):
            body = claim | {"status": claim.get("status", {}) | status}
            self._claims.observe(await self._client.update_status(PERSISTENT_VOLUME_CLAIMS, body))

    async def _sync_volume(self, volume: Object) -> None:
        reference = volume["spec"].get("claimRef")
        if pods.is_terminating(volume):
            return
        if not reference or not reference.get("uid"):
            await self._set_volume_phase(volume, "Available")
            return
        claim = self._claims.get(reference["namespace"], reference["name"])
        if claim is not None and uid_of(claim) == reference["uid"]:
            self.queue.add((namespace_of(claim), name_of(claim)))
            return
        await self._set_volume_phase(volume, "Released")

    async def _set_claim_phase(self, claim: Object, phase: str) -> None:
        if claim.get("status", {}).get("phase") != phase:
            body = claim | {"status": claim.get("status", {}) | {"phase": phase}}
            self._claims.observe(await self._client.update_status(PERSISTENT_VOLUME_CLAIMS, body))

    async def _set_volume_phase(self, volume: Object, phase: str) -> None:
        if volume.get("status", {}).get("phase") != phase:
            body = volume | {"status": volume.get("status", {}) | {"phase": phase}}
            self._volumes.observe(await self._client.update_status(PERSISTENT_VOLUMES, body))

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        enqueue(self.queue, new)
        if new is None and old is not None:
            for volume in self._volumes:
                if (volume["spec"].get("claimRef") or {}).get("uid") == uid_of(old):
                    enqueue(self.queue, volume)

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        enqueue(self.queue, new)
        if new is None or not new["spec"].get("claimRef"):
            self._queue_pending()
        if new is None and old is not None and (reference := old["spec"].get("claimRef")):
            self.queue.add((reference["namespace"], reference["name"]))

    def _queue_pending(self) -> None:
        for claim in self._claims:
            if not claim["spec"].get("volumeName"):
                enqueue(self.queue, claim)
