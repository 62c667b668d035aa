"""Which volume a claim gets."""

from collections.abc import Iterable
from pathlib import Path

from trainyard_devcluster import pods, quantity
from trainyard_devcluster.controllers.bootstrap import DEFAULT_CLASS_ANNOTATION, PROVISIONER
from trainyard_devcluster.resources import Object, name_of, namespace_of, uid_of
from trainyard_devcluster.selectors import matches

PROVISIONED_BY_ANNOTATION = "pv.kubernetes.io/provisioned-by"
PROVISIONER_ANNOTATION = "volume.kubernetes.io/storage-provisioner"
"""Who is to make a volume for a claim that fits none of those that are there."""
BIND_COMPLETED_ANNOTATION = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER_ANNOTATION = "pv.kubernetes.io/bound-by-controller"


def class_of(claim: Object, classes: Iterable[Object]) -> str:
    """The name of the claim's StorageClass: the default one where the claim does not say, else empty."""
    named = claim["spec"].get("storageClassName")
    if named is not None:
        return str(named)
    defaults = [
        entry
        for entry in classes
        if (entry["metadata"].get("annotations") or {}).get(DEFAULT_CLASS_ANNOTATION) == "true"
    ]
    newest = max(defaults, key=lambda entry: str(entry["metadata"].get("creationTimestamp", "")), default=None)
    return name_of(newest) if newest else ""


def is_for(volume: Object, claim: Object) -> bool:
    """Whether the volume is bound to, or kept for, this very claim."""
    reference = volume["spec"].get("claimRef") or {}
    same_name = (reference.get("namespace"), reference.get("name")) == (namespace_of(claim), name_of(claim))
    return same_name and reference.get("uid") in (None, "", uid_of(claim))


def best_volume(claim: Object, class_name: str, volumes: Iterable[Object]) -> Object | None:
    """The smallest free volume that is enough, but first of all one that is kept for the claim."""
    fitting = [volume for volume in volumes if _fits(volume, claim, class_name)]
    return min(
        fitting, key=lambda volume: (not is_for(volume, claim), _capacity(volume), name_of(volume)), default=None
    )


def volume_for(claim: Object, storage_class: Object, folder: Path) -> Object:
    """A volume made for a claim, in a folder of its own."""
    name = f"pvc-{uid_of(claim)}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {PROVISIONED_BY_ANNOTATION: PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": name_of(storage_class),
            "volumeMode": "Filesystem",
            "hostPath": {"path": str(folder / name), "type": "DirectoryOrCreate"},
            "claimRef": reference_to(claim),
        },
    }


def reference_to(claim: Object) -> Object:
    """A volume's reference to its claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace_of(claim),
        "name": name_of(claim),
        "uid": uid_of(claim),
    }


def _fits(volume: Object, claim: Object, class_name: str) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    if pods.is_terminating(volume) or (spec.get("claimRef") and not is_for(volume, claim)):
        return False
    size = quantity.parse(wanted["resources"]["requests"]["storage"])
    selector = wanted.get("selector")
    return (
        (spec.get("storageClassName") or "") == class_name
        and (volume.get("status", {}).get("phase") or "Available") in ("Available", "Pending", "Bound")
        and _capacity(volume) >= size
        and set(wanted["accessModes"]) <= set(spec["accessModes"])
        and (selector is None or matches(selector, volume["metadata"].get("labels")))
        and (spec.get("volumeMode") or "Filesystem") == (wanted.get("volumeMode") or "Filesystem")
    )


def _capacity(volume: Object) -> float:
    return float(quantity.parse(volume["spec"]["capacity"]["storage"]))
