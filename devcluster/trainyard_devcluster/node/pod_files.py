"""A pod's volumes on this machine: made before its first container starts, and kept as their sources change."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from trainyard_devcluster.client import ApiError, NotFoundError
from trainyard_devcluster.events import utc_now
from trainyard_devcluster.node import atomic, claims, tokens, volumes
from trainyard_devcluster.node.context import NodeContext
from trainyard_devcluster.node.env import ConfigError
from trainyard_devcluster.node.fields import PodFacts
from trainyard_devcluster.node.objects import Reference, references
from trainyard_devcluster.node.volumes import FILE_VOLUMES, MountError, Sources
from trainyard_devcluster.resources import SERVICE_ACCOUNTS, Object, namespace_of, uid_of

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


class PodFiles:
    """The folders and files of one pod."""

    def __init__(self, node: NodeContext, pod: Object) -> None:
        self._node = node
        self._pod = pod
        self._tokens = tokens.PodTokens(node.client, pod)
        self._token_requests: set[tuple[str | None, int]] = set()
        self._used: set[Reference] = set()
        self._stale = asyncio.Event()
        self.folders: dict[str, str] = {}
        """Volume name -> folder."""
        self.found: Mapping[Reference, Object] = {}

    @property
    def kubeconfig(self) -> Path | None:
        """A kubeconfig with the pod's own account, where the pod has one."""
        path = self._node.pod_folder(uid_of(self._pod)) / "kubeconfig"
        return path if path.exists() else None

    def update(self, pod: Object) -> None:
        """Take in a newer pod: its labels and annotations may be in its files."""
        if pod["metadata"].get("labels") != self._pod["metadata"].get("labels") or pod["metadata"].get(
            "annotations"
        ) != self._pod["metadata"].get("annotations"):
            self._stale.set()
        self._pod = self._pod | {"metadata": pod["metadata"]}

    async def admit(self) -> None:
        """Give the pod its token volume, as the API server's admission would have done. MountError where it has no
        account yet."""
        name = self._pod["spec"].get("serviceAccountName") or "default"
        account: Object | None = None
        if self._pod["spec"].get("automountServiceAccountToken") is not False:
            try:
                account = await self._node.client.get(SERVICE_ACCOUNTS, name, namespace_of(self._pod))
            except NotFoundError as error:
                raise MountError(str(error)) from error
        self._pod = volumes.with_token_volume(self._pod, account)
        self._token_requests = volumes.token_requests(self._pod)

    def admitted(self, container: Object) -> Object:
        """A container of the pod as `admit` left it."""
        spec = self._pod["spec"]
        containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
        return next(each for each in containers if each["name"] == container["name"])

    async def mount(self, facts: PodFacts) -> None:
        """Make every volume. MountError naming the volume, or ApiError, where one cannot be made yet."""
        self._watch(references(self._pod))
        await self._tokens.renew(self._token_requests)
        self.found = await self._node.objects.read(self._used)
        for volume in self._pod["spec"].get("volumes") or ():
            try:
                await self._mount(volume, facts)
            except (MountError, ConfigError, OSError) as error:
                raise MountError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error
        self._write_kubeconfig()

    async def refresh(self) -> None:
        """Read again what the containers' variables come from."""
        self.found = await self._node.objects.read(self._used)

    async def follow(self, facts: PodFacts) -> None:
        """Keep the files current until cancelled."""
        while True:
            await self._until_due()
            try:
                await self.mount(facts)
            except (MountError, ApiError) as error:
                # As the kubelet does: what is mounted stays as it was.
                log.debug("volumes of %s: %s", uid_of(self._pod), error)
                await asyncio.sleep(RETRY_SECONDS)

    async def wait(self, seconds: float | None) -> None:
        """Wait until something that the files come from has changed, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stale.wait()
                self._stale.clear()

    def lookup(self, kind: str, name: str) -> Object | None:
        """A ConfigMap or Secret of the pod's namespace, as last read."""
        return self.found.get((kind, namespace_of(self._pod), name))

    def close(self) -> None:
        """Stop watching what the pod named."""
        self._node.objects.release(self._used, self._stale.set)
        self._used = set()

    def _watch(self, wanted: set[Reference]) -> None:
        if wanted != self._used:
            self.close()
            self._node.objects.use(wanted, self._stale.set)
            self._used = wanted

    async def _mount(self, volume: Object, facts: PodFacts) -> None:
        own = self._node.pod_folder(uid_of(self._pod)) / "volumes" / volume["name"]
        folder = await claims.folder_of(volume, self._pod, own, self._node.client)
        self.folders[volume["name"]] = str(folder)
        if any(kind in volume for kind in FILE_VOLUMES):
            sources = Sources(self.lookup, self._tokens.text, facts)
            atomic.write(folder, volumes.files_of(volume, self._pod, sources))

    def _write_kubeconfig(self) -> None:
        request = next((each for each in sorted(self._token_requests, key=str) if each[0] is None), None)
        if request is None:
            return
        text = tokens.kubeconfig(
            self._node.client.server,
            self._node.client.authority,
            self._tokens.text(*request),
            token_file=self._token_file(),
            namespace=namespace_of(self._pod),
        )
        path = self._node.pod_folder(uid_of(self._pod)) / "kubeconfig"
        path.write_text(text)
        path.chmod(0o600)

    def _token_file(self) -> str:
        for volume in self._pod["spec"].get("volumes") or ():
            for source in (volume.get("projected") or {}).get("sources") or ():
                if token := source.get("serviceAccountToken"):
                    return f"{self.folders[volume['name']]}/{token['path']}"
        raise AssertionError("a token was requested, so some volume holds it")

    async def _until_due(self) -> None:
        due = self._tokens.next_renewal()
        await self.wait(max((due - utc_now()).total_seconds(), 1.0) if due else None)
