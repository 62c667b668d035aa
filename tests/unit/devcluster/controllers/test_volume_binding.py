from pathlib import Path
from typing import Any

import pytest

from support.workloads import Object, metadata
from trainyard_devcluster.controllers.bootstrap import DEFAULT_CLASS_ANNOTATION
from trainyard_devcluster.controllers.volumes.binding import best_volume, class_of, volume_for


def a_claim(name: str = "claim", size: str = "2Gi", **spec: Any) -> Object:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"kind": "PersistentVolumeClaim", "metadata": metadata(name), "spec": asked | spec}


def a_volume(name: str, size: str = "5Gi", **spec: Any) -> Object:
    offered = {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": size}}
    return {"kind": "PersistentVolume", "metadata": metadata(name), "spec": offered | spec}


def a_class(name: str, default: bool) -> Object:
    annotations = {DEFAULT_CLASS_ANNOTATION: "true"} if default else {}
    return {"metadata": metadata(name, annotations=annotations), "provisioner": "p"}


@pytest.mark.parametrize(
    ("spec", "expected"), [({}, "standard"), ({"storageClassName": "fast"}, "fast"), ({"storageClassName": ""}, "")]
)
def test_a_claim_that_names_no_class_gets_the_default_one(spec: Object, expected: str) -> None:
    assert class_of(a_claim(**spec), [a_class("fast", False), a_class("standard", True)]) == expected


def reference(claim: str, uid: str | None = None) -> Object:
    return {"namespace": "default", "name": claim} | ({"uid": uid} if uid else {})


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ([a_volume("big", "9Gi"), a_volume("small", "3Gi")], "small"),
        ([a_volume("tiny", "1Gi")], None),
        ([a_volume("other", storageClassName="fast")], None),
        ([a_volume("many", accessModes=["ReadWriteMany"])], None),
        ([a_volume("block", volumeMode="Block")], None),
        ([a_volume("taken", claimRef=reference("another"))], None),
        ([a_volume("taken", claimRef=reference("claim", "uid-of-its-predecessor"))], None),
        ([a_volume("small", "3Gi"), a_volume("kept", "9Gi", claimRef=reference("claim"))], "kept"),
    ],
)
def test_the_smallest_free_volume_that_is_enough_is_taken(volumes: list[Object], expected: str | None) -> None:
    found = best_volume(a_claim(), "", volumes)
    assert (found and found["metadata"]["name"]) == expected


def test_a_volume_made_for_a_claim_fits_it_and_has_a_folder_of_its_own() -> None:
    volume = volume_for(a_claim(), a_class("standard", True), Path("/volumes"))
    assert volume["spec"]["hostPath"]["path"] == "/volumes/pvc-uid-claim"
    volume["metadata"] |= {"uid": "u", "creationTimestamp": ""}
    assert best_volume(a_claim(), "standard", [volume]) is volume
    assert best_volume(a_claim("other"), "standard", [volume]) is None
