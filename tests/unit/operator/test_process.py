"""The operator as a process: it starts, works, tells how it is, and ends when it should and only then."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.fake_api import FakeApi, kubeconfig, serving
from support.training import World, a_training_job
from trainyard_operator.cluster.kinds import JOB, LEASE, TRAINING_JOB
from trainyard_operator.main import WATCHED
from trainyard_operator.watchers import PARENTS

_DEADLINE = 20.0
WATCHES = len(PARENTS) + len(WATCHED)


@dataclass
class Operator:
    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status, await answer.text()

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), _DEADLINE)


async def until(holds: Callable[[], Any], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + _DEADLINE
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"waited {_DEADLINE} s for {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def operator(folder: Path, server: str, *arguments: str) -> AsyncIterator[Operator]:
    (folder / "kubeconfig").write_text(kubeconfig(server))
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trainyard_operator", "--host", "127.0.0.1", "--port", "0", *arguments,
            env=os.environ | {"KUBECONFIG": str(folder / "kubeconfig")}, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        said = re.compile(r"Serving metrics and probes on port (\d+)")
        await until(lambda: said.search(log.read_text()) or process.returncode is not None, "the operator to start")
        found = said.search(log.read_text())
        yield Operator(process, int(found[1]) if found else 0, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def a_cluster_with_an_operator(folder: Path, *arguments: str) -> AsyncIterator[tuple[World, FakeApi, Operator]]:
    world = World()
    api = FakeApi(world.cluster)
    async with serving(api) as server, operator(folder, server, *arguments) as running:
        await until(lambda: api.watches == WATCHES, "the watches")
        yield world, api, running


async def test_the_operator_works_tells_how_it_is_and_ends_well_within_seconds(tmp_path: Path) -> None:
    async with a_cluster_with_an_operator(tmp_path) as (world, _, running):
        assert await running.get("/readyz") == (200, "ok\n")
        world.put(a_training_job())
        await until(lambda: world.status().get("phase") == "Starting", "the job to start")
        assert world.jobs() == ["churn-worker-0"]
        assert 'trainyard_objects{kind="TrainingJob",phase="Starting"} 1.0' in (await running.get("/metrics"))[1]
        assert await running.get("/healthz") == (200, "ok\n")

        began = asyncio.get_running_loop().time()
        running.process.send_signal(signal.SIGTERM)

        assert await running.ended() == 0
        assert asyncio.get_running_loop().time() - began < 5


async def test_of_several_operators_one_works_and_says_so(tmp_path: Path) -> None:
    elected = ("--leader-election", "on", "--lease-namespace", "ops")
    (tmp_path / "other").mkdir()
    async with a_cluster_with_an_operator(tmp_path, *elected) as (world, api, leader):
        await until(lambda: world.cluster.peek(LEASE), "a leader")
        holder = world.cluster.peek(LEASE)[0]["spec"]["holderIdentity"]
        async with serving(api) as server, operator(tmp_path / "other", server, *elected) as other:
            await until(lambda: api.watches == 2 * WATCHES, "the watches")
            world.put(a_training_job())
            await until(lambda: world.status().get("phase") == "Starting", "the job to start")
            assert await leader.get("/readyz") == (200, "ok\nthis operator leads\n")
            assert await other.get("/readyz") == (200, f"ok\nthis operator stands by; {holder!r} leads\n")
            assert "leader_election_master_status" in (await leader.get("/metrics"))[1]
            assert 'status{name="trainyard-operator"} 0.0' in (await other.get("/metrics"))[1]

            leader.process.send_signal(signal.SIGTERM)
            assert await leader.ended() == 0
            # Given back on the way out; the other may have taken it by now.
            assert world.cluster.peek(LEASE)[0]["spec"]["holderIdentity"] != holder
            await until(lambda: "this operator leads" in other.log.read_text().lower(), "the other to take over")
    assert world.jobs() == ["churn-worker-0"]


async def test_a_child_that_changes_wakes_its_parent_and_own_writes_wake_nobody(tmp_path: Path) -> None:
    async with a_cluster_with_an_operator(tmp_path) as (world, _, running):
        world.put(a_training_job())
        await until(lambda: world.status().get("phase") == "Starting", "the job to start")
        await _quiet(world)
        writes = len(world.cluster.writes)

        world.create_pod()
        world.run_pod()
        await until(lambda: world.status()["attempts"][0].get("node") == "node-1", "the pod to be seen")
        await _quiet(world)

        assert [verb for verb, _ in world.cluster.writes[writes:]].count("apply_status") <= 2
        assert "workqueue_retries_total{" not in (await running.get("/metrics"))[1]


async def test_what_happened_while_the_operator_was_away_is_made_up_for(tmp_path: Path) -> None:
    world = World().put(a_training_job())
    await world.running()
    world.succeed()
    api = FakeApi(world.cluster)
    async with serving(api) as server, operator(tmp_path, server):
        await until(lambda: world.status().get("phase") == "Succeeded", "the end to be seen")
    assert len(world.cluster.peek(JOB)) == 1


async def test_broken_watches_are_started_over_and_nothing_is_missed(tmp_path: Path) -> None:
    async with a_cluster_with_an_operator(tmp_path) as (world, api, running):
        await until(lambda: api.watches == WATCHES, "the watches")
        api.break_watches(500)
        world.put(a_training_job())

        await until(lambda: world.status().get("phase") == "Starting", "the job to start")
        assert running.process.returncode is None
        assert (await running.get("/readyz"))[0] == 200
        await until(lambda: running.log.read_text().count("are watched again") == 1, "the watch to be back")
        assert running.log.read_text().count("are not watched") == 1
        assert "Traceback" not in running.log.read_text()


async def test_without_the_crds_the_operator_says_so_and_ends(tmp_path: Path) -> None:
    async with operator(tmp_path, "http://127.0.0.1:1") as waiting:
        assert waiting.process.returncode is None

    empty = aiohttp.web.Application()
    runner = aiohttp.web.AppRunner(empty)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    async with operator(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}") as running:
        assert await running.ended() == 1
        assert "are the CustomResourceDefinitions in manifests/crds installed?" in running.log.read_text()
    await runner.cleanup()


@pytest.mark.parametrize("namespaces", ["team", "other"])
async def test_only_the_namespaces_that_were_named_are_served(tmp_path: Path, namespaces: str) -> None:
    world = World().put(a_training_job())
    api = FakeApi(world.cluster)
    async with serving(api) as server, operator(tmp_path, server, "--namespaces", namespaces) as running:
        await until(lambda: api.watches == WATCHES, "the watches")
        if namespaces == "team":
            await until(lambda: world.status().get("phase") == "Starting", "the job to start")
        assert (await running.get("/readyz"))[0] == 200
    assert bool(world.jobs()) is (namespaces == "team")


async def test_a_namespace_that_may_not_be_watched_is_told_and_tried_again_and_stops_no_other(tmp_path: Path) -> None:
    world = World().put(a_training_job())
    api = FakeApi(world.cluster)
    api.forbidden.add("gone")
    async with serving(api) as server, operator(tmp_path, server, "--namespaces", "gone,team") as running:
        await until(lambda: world.status().get("phase") == "Starting", "the job to start")
        status, ready = await running.get("/readyz")
        assert status == 200
        assert ready.startswith("ok\nnamespace 'gone': ")
        metrics = (await running.get("/metrics"))[1]
        assert 'trainyard_watch_up{namespace="gone",resource="trainingjobs"} 0.0' in metrics
        assert 'trainyard_watch_up{namespace="team",resource="trainingjobs"} 1.0' in metrics
        assert running.log.read_text().count("namespace 'gone' are not watched") == 1

        other = a_training_job().build()
        other["metadata"] |= {"namespace": "gone", "uid": "another"}
        world.cluster.put(TRAINING_JOB, other)
        api.forbidden.clear()
        await until(lambda: "namespace 'gone' are watched again" in running.log.read_text(), "the namespace to be back")
        await until(lambda: world.cluster.peek(TRAINING_JOB, "gone")[0].get("status"), "its job to be reconciled")
        await until(lambda: api.watches == 2 * WATCHES, "its watches")
        assert await running.get("/readyz") == (200, "ok\n")


async def test_a_namespace_that_is_taken_away_stops_no_other(tmp_path: Path) -> None:
    world = World()
    api = FakeApi(world.cluster)
    async with serving(api) as server, operator(tmp_path, server, "--namespaces", "gone,team") as running:
        await until(lambda: api.watches == 2 * WATCHES, "the watches")
        api.forbidden.add("gone")
        api.break_watches(410)
        await until(lambda: "namespace 'gone': " in running.log.read_text() or api.refused > 10, "it to be noticed")
        world.put(a_training_job())

        await until(lambda: world.status().get("phase") == "Starting", "the job to start")
        assert running.process.returncode is None


async def _quiet(world: World) -> None:
    """Wait until nothing has been called for a while: with nobody to wake it, the operator has nothing to do."""
    seen = -1
    while seen != len(world.cluster.calls):
        seen = len(world.cluster.calls)
        await asyncio.sleep(0.3)
