"""What a pod's volumes hold. Pure: from the pod and the objects it names to files with content."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from trainyard_devcluster.node.atomic import File
from trainyard_devcluster.node.env import binary_data
from trainyard_devcluster.node.fields import PodFacts, field_value, resource_value
from trainyard_devcluster.resources import Object

TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
TOKEN_SECONDS = 3607


class MountError(Exception):
    """A volume cannot be made ready yet; the message is the kubelet's."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a volume's content comes from, besides the pod."""

    lookup: Callable[[str, str], Object | None]
    """Finds an object of the pod's namespace by kind (`ConfigMap` or `Secret`) and name."""
    token: Callable[[str | None, int], str]
    """A service account token for an audience (None: the API server's) and a number of seconds."""
    facts: PodFacts


FILE_VOLUMES = ("configMap", "secret", "downwardAPI", "projected")
"""Volumes whose files follow the objects that they come from."""


def files_of(volume: Object, pod: Object, sources: Sources) -> dict[str, File]:
    """The files of one of `FILE_VOLUMES`, by path. MountError where something required is missing."""
    if projected := volume.get("projected"):
        mode = projected.get("defaultMode", 0o644)
        files: dict[str, File] = {}
        for source in projected.get("sources") or ():
            files |= _projected(source, pod, sources, mode)
        return files
    return _projected(volume, pod, sources, 0o644)


def token_requests(pod: Object) -> set[tuple[str | None, int]]:
    """Audience and lifetime of every token that a pod's volumes ask for."""
    wanted = set()
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if token := source.get("serviceAccountToken"):
                wanted.add((token.get("audience"), token.get("expirationSeconds") or 3600))
    return wanted


def with_token_volume(pod: Object, account: Object | None) -> Object:
    """The pod as an API server's ServiceAccount admission leaves it: with its token mounted, unless it opted out.

    A real API server has done this already; then the pod comes back as it is.
    """
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    if any(mount["mountPath"] == TOKEN_MOUNT for each in containers for mount in each.get("volumeMounts") or ()):
        return pod
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        wanted = (account or {}).get("automountServiceAccountToken", True)
    if not wanted or account is None:
        return pod
    mount = {"name": "kube-api-access", "mountPath": TOKEN_MOUNT, "readOnly": True}

    def mounted(containers: list[Object]) -> list[Object]:
        return [each | {"volumeMounts": [*(each.get("volumeMounts") or ()), mount]} for each in containers]

    changed = {"containers": mounted(spec["containers"]), "volumes": [*(spec.get("volumes") or ()), _TOKEN_VOLUME]}
    if spec.get("initContainers"):
        changed["initContainers"] = mounted(spec["initContainers"])
    return pod | {"spec": spec | changed}


_TOKEN_VOLUME: Object = {
    "name": "kube-api-access",
    "projected": {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {
                "configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    "optional": True,
                }
            },
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ],
    },
}


def mounts_of(container: Object, folders: Mapping[str, str], expand: Callable[[str], str]) -> dict[str, str]:
    """Mount path -> real folder for a container, given each volume's folder. `expand` is for `subPathExpr`.

    MountError where a subPath leads out of its volume.
    """
    mounts = {}
    for mount in container.get("volumeMounts") or ():
        below = mount.get("subPath") or expand(mount.get("subPathExpr") or "")
        parts = PurePosixPath(below).parts
        if ".." in parts or below.startswith("/"):
            raise MountError(f'volume "{mount["name"]}": subPath {below!r} leads out of the volume')
        mounts[mount["mountPath"]] = "/".join([folders[mount["name"]], *parts])
    return mounts


def _projected(source: Object, pod: Object, sources: Sources, mode: int) -> dict[str, File]:
    if reference := source.get("configMap"):
        return _from_object("ConfigMap", reference["name"], reference, sources, mode)
    if reference := source.get("secret"):
        return _from_object("Secret", reference.get("secretName") or reference["name"], reference, sources, mode)
    if downward := source.get("downwardAPI"):
        return _from_fields(downward, pod, sources.facts, mode)
    if token := source.get("serviceAccountToken"):
        text = sources.token(token.get("audience"), token.get("expirationSeconds") or 3600)
        return {token["path"]: File(text.encode(), 0o600 | mode)}
    raise MountError(f"a volume source that this node does not know: {', '.join(sorted(source))}")


def _from_object(kind: str, name: str, reference: Object, sources: Sources, mode: int) -> dict[str, File]:
    mode = reference.get("defaultMode") or mode
    found = sources.lookup(kind, name)
    if found is None:
        if reference.get("optional"):
            return {}
        raise MountError(f'{kind.lower()} "{name}" not found')
    content = binary_data(found)
    if not reference.get("items"):
        return {key: File(value, mode) for key, value in content.items()}
    files = {}
    for item in reference["items"]:
        if item["key"] in content:
            files[item["path"]] = File(content[item["key"]], item.get("mode") or mode)
        elif not reference.get("optional"):
            raise MountError(f"{kind.lower()} references non-existent {kind.lower()} key: {item['key']}")
    return files


def _from_fields(downward: Object, pod: Object, facts: PodFacts, mode: int) -> dict[str, File]:
    mode = downward.get("defaultMode") or mode
    files = {}
    for item in downward.get("items") or ():
        if field := item.get("fieldRef"):
            value = field_value(pod, field["fieldPath"], facts)
        else:
            value = resource_value(pod, "", item["resourceFieldRef"], facts)
        files[item["path"]] = File(value.encode(), item.get("mode") or mode)
    return files
