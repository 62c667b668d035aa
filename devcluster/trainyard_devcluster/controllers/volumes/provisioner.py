"""Makes volumes, as folders, for claims that the volume controller finds none for, and takes them back.

It works with the volume controller of any cluster: that one asks by an annotation of the claim, and binds.
"""

import asyncio
import shutil
from pathlib import Path

from trainyard_devcluster import pods
from trainyard_devcluster.client import AlreadyExistsError, NotFoundError
from trainyard_devcluster.controllers.bootstrap import PROVISIONER
from trainyard_devcluster.controllers.context import Context, enqueue
from trainyard_devcluster.controllers.volumes import binding
from trainyard_devcluster.informer import Key
from trainyard_devcluster.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Object,
    name_of,
    uid_of,
)
from trainyard_devcluster.workqueue import WorkQueue


class VolumeProvisioner:
    """Keys with a namespace are claims, those without are volumes. It does nothing where it has no folder."""

    name = "volume-provisioner"

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._folder = context.settings.volumes_dir
        self._recorder = context.recorder(PROVISIONER)
        self.queue: WorkQueue[Key] = WorkQueue()
        self._claims = context.informer(PERSISTENT_VOLUME_CLAIMS)
        self._volumes = context.informer(PERSISTENT_VOLUMES)
        self._classes = context.informer(STORAGE_CLASSES)
        self._claims.on_change(lambda old, new: enqueue(self.queue, new))
        self._volumes.on_change(lambda old, new: enqueue(self.queue, new))

    async def sync(self, key: Key) -> None:
        """Make the volume of one claim, or take one volume back."""
        if self._folder is None:
            return
        if not key[0]:
            volume = self._volumes.get(*key)
            if volume is not None and _is_left(volume):
                await self._reclaim(volume, self._folder)
        elif (claim := self._claims.get(*key)) is not None and _waits_for_us(claim):
            await self._provision(claim, self._folder)

    async def _provision(self, claim: Object, folder: Path) -> None:
        storage_class = self._classes.get("", binding.class_of(claim, self._classes))
        if storage_class is None:
            return
        volume = binding.volume_for(claim, storage_class, folder)
        await asyncio.to_thread(Path(volume["spec"]["hostPath"]["path"]).mkdir, parents=True, exist_ok=True)
        try:
            self._volumes.observe(await self._client.create(PERSISTENT_VOLUMES, volume))
        except AlreadyExistsError:
            return  # made for this claim before: its name is the claim's uid
        message = f"Successfully provisioned volume {name_of(volume)}"
        await self._recorder.normal(claim, "ProvisioningSucceeded", message)

    async def _reclaim(self, volume: Object, folder: Path) -> None:
        path = Path(volume["spec"]["hostPath"]["path"])
        # Only ever what this provisioner made: a folder directly in its own, named like the volume.
        if path == folder / name_of(volume):
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        try:
            await self._client.delete(PERSISTENT_VOLUMES, name_of(volume), uid=uid_of(volume))
        except NotFoundError:
            return


def _waits_for_us(claim: Object) -> bool:
    asked = (claim["metadata"].get("annotations") or {}).get(binding.PROVISIONER_ANNOTATION)
    return asked == PROVISIONER and not claim["spec"].get("volumeName") and not pods.is_terminating(claim)


def _is_left(volume: Object) -> bool:
    """Whether nobody has the volume any more, and it is ours to delete."""
    made_by = (volume["metadata"].get("annotations") or {}).get(binding.PROVISIONED_BY_ANNOTATION)
    released = volume.get("status", {}).get("phase") == "Released"
    deletes = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    return made_by == PROVISIONER and released and deletes and not pods.is_terminating(volume)
