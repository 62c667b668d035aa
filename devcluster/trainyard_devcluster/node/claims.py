"""Folders behind volumes: emptyDir, hostPath and PersistentVolumeClaims."""

import asyncio
from pathlib import Path

from trainyard_devcluster.client import Client, NotFoundError
from trainyard_devcluster.node.volumes import FILE_VOLUMES, MountError
from trainyard_devcluster.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, Object, namespace_of


async def folder_of(volume: Object, pod: Object, folder: Path, client: Client) -> Path:
    """The folder that a volume is; `folder` is the pod's own for it. MountError where it is not there yet."""
    if "emptyDir" in volume or any(kind in volume for kind in FILE_VOLUMES):
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        return folder
    if source := volume.get("hostPath"):
        return await asyncio.to_thread(_host_path, Path(source["path"]), source.get("type") or "")
    if source := volume.get("persistentVolumeClaim"):
        return await _claim(source["claimName"], namespace_of(pod), client)
    if source := volume.get("ephemeral"):
        return await _claim(f"{pod['metadata']['name']}-{volume['name']}", namespace_of(pod), client)
    kinds = ", ".join(sorted(set(volume) - {"name"}))
    raise MountError(f"this node cannot mount volumes of type {kinds}")


def _host_path(path: Path, kind: str) -> Path:
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        path.touch()
    wrong = (kind == "Directory" and not path.is_dir()) or (kind == "File" and not path.is_file())
    if wrong or not path.exists():
        raise MountError(f"hostPath type check failed: {path} is not a {kind.lower() or 'file or directory'}")
    return path


async def _claim(name: str, namespace: str, client: Client) -> Path:
    try:
        claim = await client.get(PERSISTENT_VOLUME_CLAIMS, name, namespace)
        volume_name = claim["spec"].get("volumeName")
        if not volume_name or (claim.get("status") or {}).get("phase") != "Bound":
            raise MountError(f'persistentvolumeclaim "{name}" is not bound')
        volume = await client.get(PERSISTENT_VOLUMES, volume_name)
    except NotFoundError as error:
        raise MountError(str(error)) from error
    path = _local_path(volume["spec"])
    if path is None:
        raise MountError(f'persistentvolume "{volume_name}" is not a local folder (hostPath or local)')
    await asyncio.to_thread(path.mkdir, parents=True, exist_ok=True)
    return path


def _local_path(spec: Object) -> Path | None:
    for kind in ("hostPath", "local"):
        if source := spec.get(kind):
            return Path(source["path"])
    return None
