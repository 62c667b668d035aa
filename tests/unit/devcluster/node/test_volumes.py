"""What volumes hold."""

import base64
from typing import Any

import pytest

from trainyard_devcluster.node.atomic import File
from trainyard_devcluster.node.fields import PodFacts
from trainyard_devcluster.node.volumes import (
    TOKEN_MOUNT,
    MountError,
    Sources,
    files_of,
    mounts_of,
    token_requests,
    with_token_volume,
)

OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    ("ConfigMap", "cm"): {
        "kind": "ConfigMap",
        "data": {"a": "1", "b": "2"},
        "binaryData": {"c": base64.b64encode(b"\xff").decode()},
    },
    ("Secret", "sec"): {"kind": "Secret", "data": {"k": base64.b64encode(b"v").decode()}},
}
SOURCES = Sources(
    lambda kind, name: OBJECTS.get((kind, name)),
    lambda audience, seconds: f"token-{audience}-{seconds}",
    PodFacts("127.64.0.2", "127.0.0.1", {}),
)
POD: dict[str, Any] = {"metadata": {"name": "p", "labels": {"x": "y"}}, "spec": {"containers": [{"name": "c"}]}}


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "cm"}}, {"a": File(b"1"), "b": File(b"2"), "c": File(b"\xff")}),
        (
            {"configMap": {"name": "cm", "defaultMode": 0o400, "items": [{"key": "a", "path": "x/y"}]}},
            {"x/y": File(b"1", 0o400)},
        ),
        ({"configMap": {"name": "cm", "items": [{"key": "a", "path": "f", "mode": 0o755}]}}, {"f": File(b"1", 0o755)}),
        ({"configMap": {"name": "no", "optional": True}}, {}),
        ({"secret": {"secretName": "sec"}}, {"k": File(b"v")}),
        (
            {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            {"labels": File(b'x="y"')},
        ),
        (
            {
                "projected": {
                    "defaultMode": 0o440,
                    "sources": [
                        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
                        {"secret": {"name": "sec"}},
                        {"serviceAccountToken": {"path": "token", "audience": "me", "expirationSeconds": 600}},
                    ],
                }
            },
            {"a": File(b"1", 0o440), "k": File(b"v", 0o440), "token": File(b"token-me-600", 0o640)},
        ),
    ],
)
def test_a_volume_holds_the_files_of_its_sources(volume: dict[str, Any], files: dict[str, File]) -> None:
    assert files_of({"name": "v", **volume}, POD, SOURCES) == files


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "no"}}, 'configmap "no" not found'),
        ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}},
            "configmap references non-existent configmap key: z",
        ),
    ],
)
def test_what_is_missing_is_named(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(MountError) as caught:
        files_of({"name": "v", **volume}, POD, SOURCES)
    assert str(caught.value) == message


def test_mounts_lead_to_folders_and_sub_paths_below_them() -> None:
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/a"},
            {"name": "v", "mountPath": "/b", "subPath": "x/y"},
            {"name": "v", "mountPath": "/c", "subPathExpr": "$(NAME)"},
        ]
    }
    mounts = mounts_of(container, {"v": "/r"}, lambda text: text.replace("$(NAME)", "n"))
    assert mounts == {"/a": "/r", "/b": "/r/x/y", "/c": "/r/n"}


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../b"])
def test_a_sub_path_may_not_lead_out_of_its_volume(path: str) -> None:
    with pytest.raises(MountError, match="leads out of the volume"):
        mounts_of({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": path}]}, {"v": "/r"}, str)


def test_a_pod_gets_its_account_mounted_unless_it_or_the_account_opts_out() -> None:
    pod = with_token_volume(POD, {"metadata": {"name": "default"}})
    assert pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] == TOKEN_MOUNT
    assert token_requests(pod) == {(None, 3607)}
    assert with_token_volume(pod, {}) is pod  # it has one already
    opted_out = POD | {"spec": POD["spec"] | {"automountServiceAccountToken": False}}
    assert with_token_volume(opted_out, {}) is opted_out
    assert with_token_volume(POD, {"automountServiceAccountToken": False}) is POD
