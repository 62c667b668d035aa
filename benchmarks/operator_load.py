"""What the operator adds to Kubernetes' own time, and what it asks of the API server: part of `make bench`.

On the cluster of KUBECONFIG, or on a devcluster of its own. The operator runs as a process here, for one namespace.
No pod is ever scheduled: what is measured ends when Kubernetes has made the pod, or the Deployment.

* apply to pod: a TrainingJob next to a bare `batch/v1` Job with the same pod, in turn, so that the difference is ours;
* apply to Deployment: a ModelService next to a bare Deployment, likewise;
* bursts: so many at once, until the last has its pod; API calls for each object, by verb;
* at rest: calls, CPU and memory while all of them wait.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from demo.launcher import launched
from trainyard_devcluster.client import Client, PatchType
from trainyard_devcluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    Resource,
)

Manifest = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
TRAINING_JOBS = Resource("trainyard.dev", "v1alpha1", "trainingjobs", "TrainingJob")
MODEL_SERVICES = Resource("trainyard.dev", "v1alpha1", "modelservices", "ModelService")
NOWHERE = {"nodeSelector": {"trainyard.dev/benchmark": "nowhere"}}
_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the operator's own metrics say at a moment."""

    calls: Counter[str]
    cpu: float
    memory: float


@dataclass
class Bench:
    """One namespace of a cluster, with an operator that serves it."""

    client: Client
    namespace: str
    port: int

    async def seen(
        self, resource: Resource, label: str, names: list[str], act: Callable[[], Coroutine[Any, Any, None]]
    ) -> list[float]:
        """Act, and return the seconds until an object of this kind with each name as its label was there."""
        version = (await self.client.list(resource, self.namespace)).resource_version
        left, seconds, began = set(names), [], time.monotonic()
        acting = asyncio.create_task(act())
        async with asyncio.timeout(_SECONDS):
            async for event in self.client.watch(resource, version, self.namespace, label_selector=label):
                name = (event.object["metadata"].get("labels") or {}).get(label)
                if name in left:
                    left.remove(name)
                    seconds.append(time.monotonic() - began)
                if not left:
                    break
        await acting
        return seconds

    async def create(self, resource: Resource, manifests: list[Manifest]) -> None:
        """Create objects, sixteen at a time, as an eager client would."""
        limit = asyncio.Semaphore(16)

        async def one(manifest: Manifest) -> None:
            async with limit:
                await self.client.create(resource, manifest)

        await asyncio.gather(*map(one, manifests))

    async def usage(self) -> Usage:
        """Read the operator's metrics."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            text = await answer.text()
        calls: Counter[str] = Counter()
        for labels, value in re.findall(r"^rest_client_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE):
            method = re.search(r'method="([^"]+)"', labels)
            if method and method[1] != "WATCH":
                calls[method[1]] += int(float(value))
        return Usage(calls, _sample(text, "process_cpu_seconds_total"), _sample(text, "process_resident_memory_bytes"))

    def training_job(self, name: str) -> Manifest:
        """A program that is never scheduled."""
        return {
            "apiVersion": "trainyard.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "program": {"container": {"image": "busybox:1.36", "command": ["true"]}},
                "data": {"source": {"configMap": {"name": "rows", "key": "rows.csv"}}, "label": "y"},
                "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
                "roles": {"worker": {"template": NOWHERE}},
            },
        }

    def model_service(self, name: str) -> Manifest:
        """A server that is never scheduled."""
        return {
            "apiVersion": "trainyard.dev/v1alpha1",
            "kind": "ModelService",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"model": {"uri": "pvc://models/churn/1"}, "server": {"template": NOWHERE}},
        }

    def bare(self, name: str, live: Manifest) -> Manifest:
        """A Job or Deployment like one that the operator made, which it knows nothing of."""
        spec = json.loads(json.dumps(live["spec"]))
        template = spec["template"]
        template["metadata"] = {"labels": {"bench": name}}
        manifest = {key: live[key] for key in ("apiVersion", "kind")}
        if live["kind"] == "Job":
            kept = {key: spec[key] for key in ("backoffLimit", "completions", "parallelism", "completionMode")}
        else:
            kept = {"replicas": spec["replicas"], "selector": {"matchLabels": {"bench": name}}}
        metadata = {"name": name, "namespace": self.namespace, "labels": {"bench": name}}
        return manifest | {"metadata": metadata, "spec": kept | {"template": template}}


@dataclass(frozen=True)
class Kind:
    """What of ours is compared with what of Kubernetes'."""

    title: str
    ours: Resource
    theirs: Resource
    awaited: Resource
    label: str
    build: Callable[[Bench, str], Manifest]


JOB = Kind("TrainingJob: apply to pod", TRAINING_JOBS, JOBS, PODS, "trainyard.dev/training-job", Bench.training_job)
SERVICE = Kind(
    "ModelService: apply to Deployment",
    MODEL_SERVICES,
    DEPLOYMENTS,
    DEPLOYMENTS,
    "trainyard.dev/model-service",
    Bench.model_service,
)


async def pairs(bench: Bench, kind: Kind, rounds: int) -> None:
    """One of ours, one of theirs, again and again."""
    ours: list[float] = []
    theirs: list[float] = []
    calls: list[int] = []
    for number in range(rounds):
        name = f"{kind.theirs.plural}-{number}"
        before = await bench.usage()
        manifest = kind.build(bench, name)
        ours += await bench.seen(kind.awaited, kind.label, [name], lambda m=manifest: bench.create(kind.ours, [m]))  # type: ignore[misc]
        calls.append(sum(((await bench.usage()).calls - before.calls).values()))
        live = await _child(bench, kind, name)
        bare = bench.bare(f"bare-{name}", live)
        theirs += await bench.seen(
            kind.awaited,
            "bench",
            [f"bare-{name}"],
            lambda b=bare: bench.create(kind.theirs, [b]),  # type: ignore[misc]
        )
        await asyncio.sleep(0.2)
    print(_line(kind.title, ours))
    print(_line(f"bare {kind.theirs.kind}", theirs))
    difference = statistics.median(ours) - statistics.median(theirs)
    print(f"{'  difference of the medians':<46} {difference * 1000:7.0f} ms   API calls up to then: {max(calls)}")


async def burst(bench: Bench, kind: Kind, count: int) -> None:
    """So many of ours at once, then so many of theirs."""
    names = [f"{kind.theirs.plural}-burst-{count}-{number}" for number in range(count)]
    before = await bench.usage()
    manifests = [kind.build(bench, name) for name in names]
    ours = await bench.seen(kind.awaited, kind.label, names, lambda: bench.create(kind.ours, manifests))
    await _quiet(bench)
    after = await bench.usage()
    live = await _child(bench, kind, names[0])
    bare = [bench.bare(f"bare-{name}", live) for name in names]
    theirs = await bench.seen(
        kind.awaited, "bench", [f"bare-{name}" for name in names], lambda: bench.create(kind.theirs, bare)
    )
    ratio = max(ours) / max(theirs)
    print(f"{f'{count} {kind.ours.kind}s at once, the last after':<46} {max(ours):7.1f} s")
    print(
        f"{f'{count} bare {kind.theirs.kind}s at once, the last after':<46} {max(theirs):7.1f} s    ratio {ratio:.2f}"
    )
    print(f"{'  API calls for each':<46} {_calls(after.calls - before.calls, count)}")
    print(f"{'  CPU for each':<46} {(after.cpu - before.cpu) / count * 1000:7.1f} ms")


async def at_rest(bench: Bench, seconds: float) -> None:
    """Everything waits; what does the operator do?"""
    await _quiet(bench)
    objects = [len((await bench.client.list(each, bench.namespace)).items) for each in (TRAINING_JOBS, MODEL_SERVICES)]
    before = await bench.usage()
    await asyncio.sleep(seconds)
    after = await bench.usage()
    calls = after.calls - before.calls
    reads, writes = calls.pop("GET", 0), sum(calls.values())
    what = f"at rest, {objects[0]} TrainingJobs, {objects[1]} ModelServices"
    print(f"{what:<46} {reads / seconds:.2f} reads/s   {writes / seconds:.2f} writes/s")
    cpu, memory = (after.cpu - before.cpu) / seconds, after.memory / 2**20
    print(f"{'  CPU, memory':<46} {cpu * 100:.1f} % of a core, {memory:.0f} MiB")


async def _quiet(bench: Bench) -> None:
    """Wait until the operator has asked for nothing for two seconds."""
    seen = None
    while seen != (now := (await bench.usage()).calls):
        seen = now
        await asyncio.sleep(2)


async def _child(bench: Bench, kind: Kind, name: str) -> Manifest:
    while True:
        children = (await bench.client.list(kind.theirs, bench.namespace, label_selector=f"{kind.label}={name}")).items
        if children:
            return children[0]
        await asyncio.sleep(0.05)


def _line(title: str, seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{title:<46} p50 {statistics.median(ordered) * 1000:5.0f} ms   p99 {p99 * 1000:5.0f} ms   n={len(ordered)}"


def _calls(calls: Counter[str], count: int) -> str:
    each = {verb: number / count for verb, number in sorted(calls.items())}
    return f"{sum(each.values()):.1f} (" + ", ".join(f"{verb} {number:.1f}" for verb, number in each.items()) + ")"


def _sample(text: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@contextlib.contextmanager
def _operator(kubeconfig: Path, namespace: str, folder: Path) -> Iterator[int]:
    """Run an operator; yield the port of its metrics."""
    log = folder / "operator.log"
    command = [
        sys.executable,
        "-m",
        "trainyard_operator",
        "--namespaces",
        namespace,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=os.environ | {"KUBECONFIG": str(kubeconfig)}, stdout=output, stderr=output, cwd=ROOT
        )
    try:
        deadline = time.monotonic() + 60
        while not (said := re.search(r"probes on port (\d+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the operator did not start: {log.read_text()}")
            time.sleep(0.1)
        yield int(said[1])
    finally:
        process.terminate()
        process.wait(30)


async def _prepare(client: Client, namespace: str) -> None:
    for file in ("trainingjobs.yaml", "modelservices.yaml"):
        manifest = yaml.safe_load((ROOT / "manifests/crds" / file).read_text())
        name = manifest["metadata"]["name"]
        await client.patch(CRDS, name, manifest, kind=PatchType.APPLY, field_manager="bench", force=True)
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    rows = {"metadata": {"name": "rows", "namespace": namespace}, "data": {"rows.csv": "x,y\n1,2\n"}}
    await client.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap"} | rows)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "models", "namespace": namespace}
    await client.create(
        PERSISTENT_VOLUME_CLAIMS,
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim},
    )
    await asyncio.sleep(2)


async def _measure(kubeconfig: Path, folder: Path, options: argparse.Namespace) -> None:
    namespace = f"bench-{uuid.uuid4().hex[:6]}"
    async with Client.from_kubeconfig(kubeconfig) as client:
        await _prepare(client, namespace)
        try:
            with _operator(kubeconfig, namespace, folder) as port:
                bench = Bench(client, namespace, port)
                await asyncio.sleep(3)
                for kind in (JOB, SERVICE):
                    await pairs(bench, kind, options.pairs)
                for count in options.bursts:
                    await burst(bench, JOB, count)
                await burst(bench, SERVICE, options.services)
                await at_rest(bench, options.rest)
        finally:
            await client.delete(NAMESPACES, namespace)


async def _run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="trainyard-bench-") as name:
        folder = Path(name)
        if given := os.environ.get("KUBECONFIG"):
            await _measure(Path(given), folder, options)
            return
        with launched(folder / "cluster", keep=False) as cluster:
            await _measure(await cluster.ready(), folder, options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30, help="pairs of ours and theirs (default: 30)")
    parser.add_argument("--bursts", type=int, nargs="*", default=[100, 200], help="jobs at once (default: 100 200)")
    parser.add_argument("--services", type=int, default=100, help="ModelServices at once (default: 100)")
    parser.add_argument("--rest", type=float, default=30.0, help="seconds at rest (default: 30)")
    sys.exit(asyncio.run(_run(parser.parse_args())))
