import asyncio
import random
import subprocess
import sys
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from trainyard_devcluster import pods
from trainyard_devcluster.client import Client, NotFoundError, PatchType
from trainyard_devcluster.controllers.service_accounts import CERTIFICATE
from trainyard_devcluster.events import timestamp, utc_now
from trainyard_devcluster.informer import Informer
from trainyard_devcluster.resources import (
    CONFIG_MAPS,
    JOBS,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SERVICE_ACCOUNTS,
    Object,
    name_of,
    namespace_of,
    uid_of,
)
from trainyard_devcluster.taints import NOT_READY_TAINT, UNREACHABLE_TAINT

from .conftest import CLUSTER_CIDR, Parts, find, until

KILLS = 8
JOBS_PER_KILL = 2


async def a_node(client: Client, name: str) -> Object:
    """A node that has just said that it is ready."""
    await client.create(NODES, {"metadata": {"name": name}})
    return await speak(client, name)


async def speak(client: Client, name: str) -> Object:
    now = timestamp(utc_now())
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}
    status = {"status": {"conditions": [ready]}}
    return await client.patch(NODES, name, status, kind=PatchType.STRATEGIC, subresource="status")


def a_pod(name: str, *, node: str = "", **metadata: Any) -> Object:
    spec: Object = {"containers": [{"name": "main", "image": "x"}]} | ({"nodeName": node} if node else {})
    return {"metadata": {"name": name, "namespace": "default"} | metadata, "spec": spec}


async def set_status(client: Client, pod: Object, **status: Any) -> None:
    await client.patch(
        PODS, name_of(pod), {"status": status}, namespace_of(pod), kind=PatchType.STRATEGIC, subresource="status"
    )


async def a_claim_comes_and_goes(cluster: Client, volumes: Path) -> None:
    """A claim gets a folder, and the folder goes with it."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await cluster.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": "store"}, "spec": spec}, "default")

    async def bound() -> Object | None:
        claim = await find(cluster, PERSISTENT_VOLUME_CLAIMS, "store")
        return claim if claim and claim.get("status", {}).get("phase") == "Bound" else None

    claim = await until(bound)
    volume = await cluster.get(PERSISTENT_VOLUMES, claim["spec"]["volumeName"])
    folder = Path(volume["spec"]["hostPath"]["path"])
    assert folder.parent == volumes
    (folder / "model").write_text("weights")
    assert volume["status"]["phase"] == "Bound"
    await cluster.delete(PERSISTENT_VOLUME_CLAIMS, "store", "default")

    async def gone() -> bool:
        return await find(cluster, PERSISTENT_VOLUMES, name_of(volume), None) is None

    await until(gone)
    assert not await asyncio.to_thread(folder.exists)


async def test_a_claim_gets_a_folder_and_the_folder_goes_with_it(cluster: Client, parts: Parts) -> None:
    await a_claim_comes_and_goes(cluster, parts.volumes)


async def test_volumes_can_be_made_for_a_control_plane_that_makes_none(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    try:
        await asyncio.to_thread(parts.start_api_server)
        kubeconfig = str(parts.kubeconfig)
        parts.start("controllers", "--kubeconfig", kubeconfig)
        only = ["--only", "volumes", "--volumes-dir", str(parts.volumes)]
        parts.start("controllers", "--kubeconfig", kubeconfig, *only, name="provisioner")
        async with Client.from_kubeconfig(parts.kubeconfig) as cluster:
            await a_claim_comes_and_goes(cluster, parts.volumes)
    finally:
        await asyncio.to_thread(parts.end)


def test_volumes_alone_need_a_folder() -> None:
    command = [sys.executable, "-m", "trainyard_devcluster.controllers", "--kubeconfig", "k", "--only", "volumes"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "expected --volumes-dir DIR" in done.stderr


async def test_a_namespace_has_its_certificate_before_pods_can_be_made_in_it(cluster: Client) -> None:
    await cluster.create(NAMESPACES, {"metadata": {"name": "team"}})

    account = await until(lambda: find(cluster, SERVICE_ACCOUNTS, "default", "team"))
    certificate = await cluster.get(CONFIG_MAPS, CERTIFICATE, "team")

    assert int(certificate["metadata"]["resourceVersion"]) < int(account["metadata"]["resourceVersion"])


async def test_a_silent_node_is_tainted_and_loses_its_pods_until_it_speaks_again(cluster: Client) -> None:
    await a_node(cluster, "silent")
    pod = await cluster.create(PODS, a_pod("on-silent", node="silent"))
    now = timestamp(utc_now())
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
    await set_status(cluster, pod, phase="Running", conditions=[ready])

    async def evicted() -> Object | None:
        found = await find(cluster, PODS, "on-silent")
        return found if found and pods.is_terminating(found) else None

    found = await until(evicted)
    disruption = pods.condition(found, "DisruptionTarget")
    assert disruption is not None
    assert disruption["reason"] == "DeletionByTaintManager"
    assert not pods.is_ready(found)
    node = await cluster.get(NODES, "silent")
    assert {taint["key"] for taint in node["spec"]["taints"]} == {UNREACHABLE_TAINT}
    lost = pods.condition(node, "Ready")
    assert lost is not None
    assert lost["status"] == "Unknown"
    await speak(cluster, "silent")

    async def welcome() -> bool:
        return not (await cluster.get(NODES, "silent"))["spec"].get("taints")

    await until(welcome)
    await cluster.delete(NODES, "silent")


async def test_a_new_node_takes_no_pods_until_it_is_ready(cluster: Client) -> None:
    await cluster.create(NODES, {"metadata": {"name": "new"}})

    async def tainted() -> list[str]:
        return [taint["key"] for taint in (await cluster.get(NODES, "new"))["spec"].get("taints") or ()]

    assert await until(tainted) == [NOT_READY_TAINT]
    await speak(cluster, "new")

    async def free() -> bool:
        return not await tainted()

    await until(free)
    await cluster.delete(NODES, "new")


async def test_pods_of_a_node_that_is_gone_end(cluster: Client) -> None:
    await a_node(cluster, "removed")
    held = a_pod("on-removed", node="removed", finalizers=["example.com/held"])
    await cluster.create(PODS, held)
    await cluster.delete(NODES, "removed")

    async def failed() -> Object | None:
        found = await find(cluster, PODS, "on-removed")
        return found if found and pods.is_terminating(found) else None

    found = await until(failed)
    assert pods.phase(found) == "Failed"
    disruption = pods.condition(found, "DisruptionTarget")
    assert disruption is not None
    assert disruption["reason"] == "DeletionByPodGC"
    await cluster.patch(PODS, "on-removed", {"metadata": {"finalizers": None}}, "default")


async def test_a_pod_deleted_before_it_had_a_node_ends(cluster: Client) -> None:
    await cluster.create(PODS, a_pod("never-placed", finalizers=["example.com/held"]))
    await cluster.delete(PODS, "never-placed", "default")

    async def failed() -> bool:
        found = await find(cluster, PODS, "never-placed")
        return found is not None and pods.phase(found) == "Failed"

    await until(failed)
    await cluster.patch(PODS, "never-placed", {"metadata": {"finalizers": None}}, "default")

    async def gone() -> bool:
        return await find(cluster, PODS, "never-placed") is None

    await until(gone)


async def test_every_node_gets_pod_addresses_of_its_own(cluster: Client) -> None:
    names = [f"ranged-{number}" for number in range(3)]
    await asyncio.gather(*(a_node(cluster, name) for name in names))

    async def ranges() -> list[IPv4Network]:
        nodes = [await cluster.get(NODES, name) for name in names]
        given = [IPv4Network(node["spec"]["podCIDR"]) for node in nodes if node["spec"].get("podCIDR")]
        return given if len(given) == len(names) else []

    given = await until(ranges)
    assert all(each.subnet_of(IPv4Network(CLUSTER_CIDR)) for each in given)
    assert not any(one.overlaps(other) for one, other in combinations(given, 2))
    for name in names:
        await cluster.delete(NODES, name)


class Node:
    """Ends every pod a moment after it was made: in vain where an annotation says so."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tasks = asyncio.TaskGroup()
        self._pods = Informer(client, PODS, label_selector="part=killed")
        self._pods.on_change(self._changed)

    async def run(self) -> None:
        async with self._tasks:
            await self._pods.run()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None and not pods.is_terminal(new):
            self._tasks.create_task(self._end(new))

    async def _end(self, pod: Object) -> None:
        await asyncio.sleep(random.uniform(0, 0.2))
        failed = pod["metadata"].get("annotations", {}).get("fails") == "yes"
        try:
            await set_status(self._client, pod, phase="Failed" if failed else "Succeeded")
        except NotFoundError:
            return


def a_job(number: int) -> Object:
    fails = "yes" if number % 4 == 3 else "no"
    metadata = {"labels": {"part": "killed"}, "annotations": {"fails": fails}}
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}
    mode = {"completionMode": "Indexed" if number % 2 else "NonIndexed"}
    size = {"completions": 3, "parallelism": 2, "backoffLimit": 0}
    template = {"template": {"metadata": metadata, "spec": spec}}
    return {"metadata": {"name": f"job-{number}", "namespace": "default"}, "spec": template | size | mode}


def has_ended(job: Object) -> bool:
    return any((pods.condition(job, kind) or {}).get("status") == "True" for kind in ("Complete", "Failed"))


@pytest.mark.exhaustive
async def test_jobs_are_counted_exactly_while_the_controllers_are_killed_again_and_again(
    cluster: Client, parts: Parts
) -> None:
    node = asyncio.create_task(Node(cluster).run())
    for number in range(KILLS * JOBS_PER_KILL):
        await cluster.create(JOBS, a_job(number))
        if number % JOBS_PER_KILL:
            await asyncio.sleep(random.uniform(0, 0.6))
            parts.kill("controllers")
            parts.start_controllers()

    async def ended() -> list[Object]:
        jobs = (await cluster.list(JOBS, "default")).items
        return jobs if all(map(has_ended, jobs)) else []

    jobs = await until(ended, seconds=60)
    node.cancel()
    found = (await cluster.list(PODS, "default", label_selector="part=killed")).items
    for job in jobs:
        own = [pod for pod in found if pod["metadata"]["ownerReferences"][0]["uid"] == uid_of(job)]
        phases = [pods.phase(pod) for pod in own]
        counted = [job["status"].get(key, 0) for key in ("succeeded", "failed")]
        # A pod that still ran when its Job failed is deleted, and counts as failed: at most as many as ran at a time.
        stopped = counted[1] - phases.count("Failed")
        assert counted[0] == phases.count("Succeeded"), (name_of(job), job["status"], phases)
        assert 0 <= stopped <= (1 if counted[1] else 0), (name_of(job), job["status"], phases)
        assert len(own) <= 3
        assert not any(pod["metadata"].get("finalizers") for pod in own)
