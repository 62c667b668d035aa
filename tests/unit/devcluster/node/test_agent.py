"""The node agent against an API server: what becomes of pods, with real processes and a stand-in for the server."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.eventually import eventually
from support.kube_stub import KubeStub
from support.manifests import a_config_map, a_pod, a_shell
from support.processes import running
from trainyard_devcluster.client import Client
from trainyard_devcluster.node.agent import Agent
from trainyard_devcluster.node.settings import GPU, Settings
from trainyard_devcluster.resources import (
    CONFIG_MAPS,
    EVENTS,
    LEASES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SERVICE_ACCOUNTS,
)
from trainyard_devcluster.strays import NODE_MARK

NAMESPACE = "ns"
CAPACITY = {"cpu": "2", "memory": "4Gi", "pods": "10", GPU: "2"}
SETTINGS = {"capacity": CAPACITY, "restart_backoff": 0.05, "pod_cidr": "127.64.0.0/16"}


class Cluster:
    """The stand-in and one node agent, which can be stopped and started again."""

    def __init__(self, stub: KubeStub, client: Client, folder: Path) -> None:
        self.stub = stub
        self._client = client
        self.folder = folder
        self._agent: asyncio.Task[None] | None = None

    def start(self) -> None:
        settings = Settings(self.folder / "kubeconfig", "node", self.folder, **SETTINGS)  # type: ignore[arg-type]
        self._agent = asyncio.create_task(Agent(settings, self._client).run())

    async def stop(self) -> None:
        if self._agent:
            self._agent.cancel()
            await asyncio.gather(self._agent, return_exceptions=True)
            self._agent = None

    def run(self, pod: dict[str, Any]) -> None:
        """Make a pod that is bound to the node."""
        pod = pod | {"spec": pod["spec"] | {"nodeName": "node"}}
        self.stub.put(PODS, pod | {"metadata": pod["metadata"] | {"namespace": NAMESPACE}})

    def pod(self, name: str = "pod") -> dict[str, Any]:
        found = self.stub.get(PODS, name, NAMESPACE)
        assert found is not None, f"pod {name} is gone"
        return found

    def status(self, name: str = "pod") -> dict[str, Any]:
        status: dict[str, Any] = self.pod(name).get("status") or {}
        return status

    async def until_phase(self, phase: str, name: str = "pod") -> dict[str, Any]:
        await self.until(lambda: self.status(name).get("phase") == phase)
        return self.status(name)

    async def until(self, holds: Callable[[], object]) -> None:
        try:
            await eventually(holds)
        except TimeoutError:
            events = [(e["reason"], e["message"]) for e in self.stub.list(EVENTS)]
            raise AssertionError(f"pods: {self.stub.list(PODS)}; events: {events}") from None

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.stub.list(EVENTS)]

    async def delete(self, name: str = "pod", grace: int | None = None) -> None:
        await self._client.delete(PODS, name, NAMESPACE, grace_seconds=grace)

    async def until_gone(self, name: str = "pod") -> None:
        await self.until(lambda: self.stub.get(PODS, name, NAMESPACE) is None)


@asynccontextmanager
async def a_cluster(folder: Path) -> AsyncIterator[Cluster]:
    stub = KubeStub()
    stub.put(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": NAMESPACE}})
    async with stub.serve() as client:
        cluster = Cluster(stub, client, folder)
        cluster.start()
        try:
            yield cluster
        finally:
            await cluster.stop()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with a_cluster(tmp_path) as cluster:
        yield cluster


def condition(obj: dict[str, Any], kind: str) -> str:
    return next((each["status"] for each in obj.get("conditions") or () if each["type"] == kind), "")


async def test_a_node_joins_and_renews_its_lease(cluster: Cluster) -> None:
    await cluster.until(lambda: cluster.stub.get(LEASES, "node", "kube-node-lease"))
    await cluster.until(
        lambda: condition((cluster.stub.get(NODES, "node") or {}).get("status") or {}, "Ready") == "True"
    )
    node = cluster.stub.get(NODES, "node")
    assert node is not None
    assert node["status"]["capacity"][GPU] == "2"


async def test_a_node_that_is_ready_takes_its_not_ready_taint_away_and_no_other(tmp_path: Path) -> None:
    stub = KubeStub()
    keep = {"key": "mine", "effect": "NoSchedule"}
    taints = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}, keep]
    stub.put(NODES, {"metadata": {"name": "node"}, "spec": {"taints": taints}})
    async with stub.serve() as client:
        cluster = Cluster(stub, client, tmp_path)
        cluster.start()
        await cluster.until(lambda: stub.objects["nodes", "", "node"]["spec"].get("taints") == [keep])
        await cluster.stop()


async def test_a_pod_runs_to_its_end(cluster: Cluster) -> None:
    cluster.run(a_pod(a_shell("echo hello; echo done > /dev/termination-log")))
    status = await cluster.until_phase("Succeeded")
    assert status["containerStatuses"][0]["state"]["terminated"]["message"] == "done\n"
    assert status["podIP"] == "127.64.0.2"
    assert status["hostIP"] == "127.0.0.1"
    assert condition(status, "PodReadyToStartContainers") == "False"
    await cluster.until(lambda: sorted(cluster.reasons()) == ["Created", "Pulled", "Started"])


async def test_init_containers_run_in_order_and_hand_on_what_they_made(cluster: Cluster) -> None:
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    cluster.run(
        a_pod(
            a_shell("test $(cat /work/x) = 12", **mount),
            initContainers=[
                a_shell("printf 1 >> /work/x", "one", **mount),
                a_shell("printf 2 >> /work/x", "two", **mount),
            ],
            volumes=[{"name": "work", "emptyDir": {}}],
        )
    )
    status = await cluster.until_phase("Succeeded")
    assert [each["ready"] for each in status["initContainerStatuses"]] == [True, True]


async def test_an_init_container_that_fails_fails_a_pod_that_never_restarts(cluster: Cluster) -> None:
    cluster.run(a_pod(a_shell("exit 0"), initContainers=[a_shell("exit 4", "first")]))
    status = await cluster.until_phase("Failed")
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"


async def test_a_sidecar_runs_beside_the_pod_and_ends_after_it(cluster: Cluster, tmp_path: Path) -> None:
    sidecar = a_shell(
        f"trap 'echo side >> {tmp_path}/order; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.01; done", "side"
    )
    script = f"while ! test -e {tmp_path}/up; do sleep 0.01; done; echo main >> {tmp_path}/order"
    cluster.run(a_pod(a_shell(script), initContainers=[sidecar | {"restartPolicy": "Always"}]))
    await cluster.until_phase("Succeeded")
    assert (tmp_path / "order").read_text() == "main\nside\n"


async def test_several_containers_share_the_pods_address_and_its_end(cluster: Cluster) -> None:
    cluster.run(a_pod(a_shell("exit 0", "a"), a_shell("exit 3", "b")))
    status = await cluster.until_phase("Failed")
    assert [each["state"]["terminated"]["exitCode"] for each in status["containerStatuses"]] == [0, 3]


async def test_a_container_that_keeps_failing_is_restarted_with_pauses(cluster: Cluster) -> None:
    cluster.run(a_pod(a_shell("exit 1"), restart="Always"))
    await cluster.until(lambda: cluster.status().get("containerStatuses", [{}])[0].get("restartCount", 0) >= 3)
    status = cluster.status()
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    await cluster.until(lambda: "BackOff" in cluster.reasons())


async def test_a_missing_config_map_holds_the_pod_until_it_comes(cluster: Cluster) -> None:
    volumes = [{"name": "cfg", "configMap": {"name": "cfg"}}]
    main = a_shell("cat /cfg/key > /dev/termination-log", volumeMounts=[{"name": "cfg", "mountPath": "/cfg"}])
    cluster.run(a_pod(main, volumes=volumes))
    await cluster.until(lambda: "FailedMount" in cluster.reasons())
    (event,) = [each for each in cluster.stub.list(EVENTS) if each["reason"] == "FailedMount"]
    assert event["message"] == 'MountVolume.SetUp failed for volume "cfg" : configmap "cfg" not found'
    assert cluster.status()["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    config = a_config_map("cfg", key="here")
    cluster.stub.put(CONFIG_MAPS, config | {"metadata": {"name": "cfg", "namespace": NAMESPACE}})
    status = await cluster.until_phase("Succeeded")
    assert status["containerStatuses"][0]["state"]["terminated"]["message"] == "here"


async def test_a_missing_key_of_a_variable_holds_the_container_with_the_reason(cluster: Cluster) -> None:
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "a"}}}]
    cluster.run(a_pod(a_shell("exit 0", env=env)))
    await cluster.until(lambda: _waiting(cluster.status()) == "CreateContainerConfigError")
    config = {"metadata": {"name": "cfg", "namespace": NAMESPACE}, "data": {"a": "1"}}
    cluster.stub.put(CONFIG_MAPS, config)
    await cluster.until_phase("Succeeded")


async def test_an_image_without_a_command_here_is_not_pulled(cluster: Cluster) -> None:
    cluster.run(a_pod({"name": "main", "image": "example.com/unknown:1"}))
    await cluster.until(lambda: _waiting(cluster.status()) == "ImagePullBackOff")
    assert "--images FILE" in cluster.status()["containerStatuses"][0]["state"]["waiting"]["message"]


async def test_files_follow_their_config_map(cluster: Cluster) -> None:
    config = {"metadata": {"name": "cfg", "namespace": NAMESPACE}, "data": {"a": "old"}}
    cluster.stub.put(CONFIG_MAPS, config)
    script = "while ! grep -q new /cfg/a; do sleep 0.01; done"
    main = a_shell(script, volumeMounts=[{"name": "cfg", "mountPath": "/cfg"}])
    cluster.run(a_pod(main, volumes=[{"name": "cfg", "configMap": {"name": "cfg"}}]))
    await cluster.until_phase("Running")
    cluster.stub.put(CONFIG_MAPS, config | {"data": {"a": "new"}})
    await cluster.until_phase("Succeeded")


async def test_a_claim_is_mounted_once_it_is_bound(cluster: Cluster, tmp_path: Path) -> None:
    claim: dict[str, Any] = {"metadata": {"name": "store", "namespace": NAMESPACE}, "spec": {}}
    cluster.stub.put(PERSISTENT_VOLUME_CLAIMS, claim)
    main = a_shell("echo kept > /store/x", volumeMounts=[{"name": "s", "mountPath": "/store"}])
    cluster.run(a_pod(main, volumes=[{"name": "s", "persistentVolumeClaim": {"claimName": "store"}}]))
    await cluster.until(lambda: "FailedMount" in cluster.reasons())
    volume = {"metadata": {"name": "pv"}, "spec": {"hostPath": {"path": str(tmp_path / "pv")}}}
    cluster.stub.put(PERSISTENT_VOLUMES, volume)
    bound = {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    cluster.stub.put(PERSISTENT_VOLUME_CLAIMS, claim | bound)
    await cluster.until_phase("Succeeded")
    assert (tmp_path / "pv" / "x").read_text() == "kept\n"


async def test_a_pod_with_an_account_gets_its_token_and_a_kubeconfig(cluster: Cluster) -> None:
    token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    script = f'test "$(cat {token})" = token-of-default && grep -q token-of-default "$KUBECONFIG"'
    cluster.run(a_pod(a_shell(script), automountServiceAccountToken=True))
    await cluster.until_phase("Succeeded")


async def test_a_deleted_pod_gets_its_grace_and_says_how_it_ended(cluster: Cluster, tmp_path: Path) -> None:
    script = f"trap 'touch {tmp_path}/asked; exit 0' TERM; touch {tmp_path}/up; while :; do sleep 0.01; done"
    cluster.run(a_pod(a_shell(script), restart="Always"))
    await cluster.until((tmp_path / "up").exists)
    seen: list[dict[str, Any]] = []
    cluster.stub._watches.add(("pods", "", "", queue := asyncio.Queue()))
    await cluster.delete()
    await cluster.until_gone()
    assert (tmp_path / "asked").exists()
    while not queue.empty():
        seen.append(queue.get_nowait()[1])
    assert seen[-1]["status"]["phase"] == "Succeeded"
    assert seen[-1]["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


async def test_a_second_deletion_with_less_grace_is_obeyed(cluster: Cluster, tmp_path: Path) -> None:
    script = f"trap '' TERM; touch {tmp_path}/up; while :; do sleep 0.01; done"
    cluster.run(a_pod(a_shell(script), terminationGracePeriodSeconds=600))
    await cluster.until((tmp_path / "up").exists)
    await cluster.delete()
    await cluster.delete(grace=1)
    await cluster.until_gone()


async def test_a_pod_whose_object_vanishes_is_ended_all_the_same(cluster: Cluster, tmp_path: Path) -> None:
    cluster.run(a_pod(a_shell(f"echo $$$$ > {tmp_path}/pid; exec sleep 600")))
    await cluster.until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    cluster.stub.remove(PODS, "pod", NAMESPACE)
    await cluster.until(lambda: not running((tmp_path / "pid").read_text()))
    await cluster.until(lambda: not list((tmp_path / "pods").iterdir()))


async def test_a_pod_past_its_deadline_fails(cluster: Cluster) -> None:
    cluster.run(a_pod(a_shell("sleep 600"), activeDeadlineSeconds=1))
    status = await cluster.until_phase("Failed")
    assert status["reason"] == "DeadlineExceeded"
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


@pytest.mark.parametrize(("policy", "phase", "restarts"), [("Never", "Failed", 0), ("Always", "Running", 1)])
async def test_an_agent_that_starts_again_says_what_it_lost_and_goes_on(
    cluster: Cluster, tmp_path: Path, policy: str, phase: str, restarts: int
) -> None:
    cluster.run(a_pod(a_shell(f"echo $$$$ > {tmp_path}/pid; exec sleep 600"), restart=policy))
    await cluster.until_phase("Running")
    await cluster.until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    first = (tmp_path / "pid").read_text()
    await cluster.stop()
    assert not running(first)
    assert cluster.status()["phase"] == "Running"  # nobody was there to say otherwise
    cluster.start()
    await cluster.until(lambda: cluster.status()["containerStatuses"][0]["restartCount"] == restarts)
    status = await cluster.until_phase(phase)
    (container,) = status["containerStatuses"]
    lost = container["state" if policy == "Never" else "lastState"]["terminated"]
    assert (lost["exitCode"], lost["reason"]) == (137, "ContainerStatusUnknown")


async def test_what_an_agent_that_was_killed_left_behind_is_ended(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "600"], env={"PATH": os.defpath, NODE_MARK: str(tmp_path)})  # noqa: ASYNC220
    async with a_cluster(tmp_path) as cluster:
        await cluster.until(lambda: not running(left.pid))
    assert left.wait(5) == -signal.SIGKILL


async def test_a_pod_that_was_deleted_while_no_agent_was_there_is_finished(cluster: Cluster) -> None:
    cluster.run(a_pod(a_shell("sleep 600")))
    await cluster.until_phase("Running")
    await cluster.stop()
    await cluster.delete()
    cluster.start()
    await cluster.until_gone()


async def test_a_pod_that_ended_is_left_alone_by_the_next_agent(cluster: Cluster, tmp_path: Path) -> None:
    cluster.run(a_pod(a_shell(f"echo x >> {tmp_path}/runs")))
    before = await cluster.until_phase("Succeeded")
    await cluster.stop()
    cluster.start()
    cluster.run(a_pod(a_shell("exit 0"), name="other"))
    await cluster.until_phase("Succeeded", "other")
    assert (tmp_path / "runs").read_text() == "x\n"
    assert cluster.status() == before


async def test_an_api_server_that_fails_for_a_while_is_told_later(cluster: Cluster) -> None:
    cluster.run(a_pod(a_shell("sleep 0.2")))
    await cluster.until_phase("Running")
    failing = 3

    def refuse(method: str, path: str) -> int | None:
        nonlocal failing
        if method == "PATCH" and path.endswith("/pods/pod/status") and failing:
            failing -= 1
            return 503
        return None

    cluster.stub.refuse = refuse
    await cluster.until_phase("Succeeded")
    assert failing == 0


async def test_containers_see_their_own_gpus(cluster: Cluster) -> None:
    script = 'printf %s "$CUDA_VISIBLE_DEVICES" > /dev/termination-log'
    cluster.run(a_pod(a_shell(script, resources={"limits": {GPU: "2"}})))
    status = await cluster.until_phase("Succeeded")
    assert status["containerStatuses"][0]["state"]["terminated"]["message"] == "0,1"


async def test_a_pod_that_asks_for_more_gpus_than_there_are_fails_as_a_whole(cluster: Cluster, tmp_path: Path) -> None:
    other = a_shell(f"echo $$$$ > {tmp_path}/pid; exec sleep 600", "other")
    greedy = a_shell("exit 0", "greedy", resources={"limits": {GPU: "3"}})
    cluster.run(a_pod(other, greedy, restart="Always"))
    status = await cluster.until_phase("Failed")
    assert status["reason"] == "UnexpectedAdmissionError"
    assert not (tmp_path / "pid").exists() or not running((tmp_path / "pid").read_text() or 0)


def _waiting(status: dict[str, Any]) -> str:
    (container,) = status.get("containerStatuses") or [{}]
    reason: str = ((container.get("state") or {}).get("waiting") or {}).get("reason", "")
    return reason
