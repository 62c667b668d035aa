"""A short-lived pod that mounts a claim, through which files go to it and come from it.

Everything goes through the API server's proxy to a Service, so that nobody has to reach the cluster's network. A Job
owns the Service and the pod, and ends and removes itself if this process dies.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote

from trainyard import courier_program
from trainyard.cluster import JOBS, PODS, SERVICES, Cluster, Manifest, Reply
from trainyard.errors import ClusterError, Failed, NotFound, TimedOut, Unreachable
from trainyard_api.names import COMPONENT_LABEL, MANAGED_BY_LABEL

PIECE = courier_program.PIECE
IMAGE = f"trainyard/operator:{version('trainyard-operator')}"
"""Serving pods run it too, so the cluster can pull it; any image with Python 3.11 will do."""
MANAGED_BY = "trainyard-client"
_PORT = 8080
_MOUNT = "/trainyard/volume"
_USER = 65532
"""The user that trains and serves, so that each can read what the other wrote."""
_READY_SECONDS, _LIFE_SECONDS, _TRIES = 120.0, 3600, 5
_LOOK_SECONDS, _AGAIN_SECONDS = 0.3, 0.25
Progress = Callable[[int, int], None]
"""Is told bytes done and bytes in all."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A PersistentVolumeClaim to carry from or to."""

    namespace: str
    name: str
    read_only: bool = False


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


@contextmanager
def courier(cluster: Cluster, claim: Claim, *, image: str | None = None) -> Iterator["Courier"]:
    """Run a pod that mounts the claim, and remove it afterwards.

    Raises:
        Failed: the pod cannot run.
        TimedOut: it did not start in two minutes.
    """
    token = secrets.token_hex(16)
    job = cluster.create(JOBS, claim.namespace, _job(claim, token, image or IMAGE))
    name = str(job["metadata"]["name"])
    try:
        cluster.create(SERVICES, claim.namespace, _service(job))
        found = Courier(cluster, claim, name, token)
        found.wait()
        yield found
    finally:
        cluster.delete(JOBS, claim.namespace, name)


class Courier:
    """Carries files to and from one claim."""

    def __init__(self, cluster: Cluster, claim: Claim, name: str, token: str) -> None:
        self._cluster, self._claim, self._name, self._token = cluster, claim, name, token

    def wait(self) -> None:
        """Return once the pod answers."""
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                if self._request("ready").status == 200:
                    return
            except (Unreachable, NotFound):
                pass
            blocker = self._blocker()
            if blocker.startswith("!"):
                raise Failed(f"the pod that mounts claim {self._claim.name} cannot run: {blocker[1:]}")
            if time.monotonic() > deadline:
                raise TimedOut(
                    f"the pod that mounts claim {self._claim.name} did not start in {_READY_SECONDS:.0f} s: "
                    f"{blocker or 'no reason is known'}; see kubectl describe pod -l job-name={self._name} "
                    f"-n {self._claim.namespace}"
                )
            time.sleep(_LOOK_SECONDS)

    def put(self, stream: IO[bytes], size: int, path: str, *, progress: Progress = no_progress) -> str:
        """Write a file to the volume, under its name only once it is complete; returns its SHA-256."""
        digest, done = hashlib.sha256(), 0
        partial = f"{PurePosixPath(path).parent}/.{PurePosixPath(path).name}.part"
        while piece := stream.read(PIECE):
            self._asked(partial, method="PUT", body=piece, offset=str(done))
            digest.update(piece)
            done += len(piece)
            progress(done, size)
        found = digest.hexdigest()
        self._asked(partial, method="POST", body=b"", sha256=found, to=path)
        return found

    def has(self, path: str, sha256: str) -> bool:
        """Whether the volume has this very file."""
        try:
            return self._asked(path, sha256="").decode() == sha256
        except NotFound:
            return False

    def files(self, folder: str) -> list[tuple[str, int]]:
        """Return the files below a folder, with their sizes.

        Raises:
            NotFound: there is no such folder.
        """
        return [(str(path), int(size)) for path, size in json.loads(self._asked(folder, list=""))]

    def read(self, path: str, *, most: int = 1 << 30) -> bytes:
        """Return a file's bytes.

        Raises:
            NotFound: there is no such file.
        """
        content = b""
        while len(piece := self._asked(path, offset=str(len(content)))) == PIECE and len(content) < most:
            content += piece
        return content + piece

    def get(self, path: str, target: Path, size: int, *, progress: Progress = no_progress) -> str:
        """Copy a file from the volume; returns its SHA-256."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, done = hashlib.sha256(), 0
        with target.open("wb") as stream:
            while done < size:
                piece = self._asked(path, offset=str(done))
                if not piece:
                    raise ClusterError(f"{path} became shorter while it was copied: try again")
                stream.write(piece)
                digest.update(piece)
                done += len(piece)
                progress(done, size)
        return digest.hexdigest()

    def _asked(self, path: str, *, method: str = "GET", body: bytes | None = None, **query: str) -> bytes:
        for attempt in range(_TRIES):
            try:
                reply = self._request(f"{self._token}/{quote(path)}", method=method, body=body, query=query)
                break
            except Unreachable:
                # Each piece says where it belongs, so it can be sent again.
                if attempt == _TRIES - 1:
                    raise
                time.sleep(_AGAIN_SECONDS * (1 << attempt))
        if reply.status == 404:
            raise NotFound(f"claim {self._claim.name} has no {path}")
        if reply.status != 200:
            why = reply.body.decode(errors="replace")
            raise ClusterError(f"claim {self._claim.name}: {path}: {why}")
        return reply.body

    def _request(self, path: str, **options: Any) -> Reply:
        return self._cluster.proxy(self._claim.namespace, f"{self._name}:{_PORT}", path, **options)

    def _blocker(self) -> str:
        """Say why the pod does not run yet; with an exclamation mark where it never will."""
        pods = self._cluster.select(PODS, self._claim.namespace, labels=f"job-name={self._name}")
        for pod in pods:
            for condition in pod.get("status", {}).get("conditions") or ():
                if condition.get("reason") == "Unschedulable":
                    return str(condition.get("message"))
            for status in pod.get("status", {}).get("containerStatuses") or ():
                waiting = (status.get("state") or {}).get("waiting") or {}
                if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
                    image = pod["spec"]["containers"][0]["image"]
                    return f"!image {image} cannot be pulled; name one with Python 3.11 by --courier-image"
                if waiting.get("message"):
                    return str(waiting["message"])
            if pod.get("status", {}).get("phase") == "Failed":
                return f"!{pod['status'].get('message') or 'its program ended'}"
        return ""


def _job(claim: Claim, token: str, image: str) -> Manifest:
    container = {
        "name": "courier",
        "image": image,
        "command": ["python", "-u", "-c", Path(courier_program.__file__).read_text(), _MOUNT, str(_PORT)],
        "env": [{"name": "TOKEN", "value": token}],
        "ports": [{"containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": _PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "volume", "mountPath": _MOUNT, "readOnly": claim.read_only}],
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    volume = {"name": "volume", "persistentVolumeClaim": {"claimName": claim.name, "readOnly": claim.read_only}}
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": security,
        "containers": [container],
        "volumes": [volume],
    }
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {"generateName": "trainyard-courier-", "labels": _labels()},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _LIFE_SECONDS,
            "ttlSecondsAfterFinished": 60,
            "template": {"metadata": {"labels": _labels()}, "spec": pod},
        },
    }


def _service(job: Manifest) -> Manifest:
    metadata = job["metadata"]
    owner = {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {"name": metadata["name"], "labels": _labels(), "ownerReferences": [owner]},
        "spec": {"selector": {"job-name": metadata["name"]}, "ports": [{"port": _PORT, "targetPort": _PORT}]},
    }


def _labels() -> dict[str, str]:
    return {MANAGED_BY_LABEL: MANAGED_BY, COMPONENT_LABEL: "courier"}
