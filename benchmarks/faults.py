"""What a fault costs a training: steps lost, what it counts as, time until it gets on: `make faults`.

On the cluster of KUBECONFIG, or on a devcluster of its own. The operator runs as a process here, for one namespace. A
program that does nothing but count takes a step each 50 ms and keeps a checkpoint of each tenth. It knows what it had
to do again, and how long it did not get further, and says so with its result. The exit code is 1 where a fault was
counted as something else than it is, or ended a training that should have gone on.
"""

from __future__ import annotations

import itertools
import logging
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client

from support.devcluster import given_or_devcluster
from support.fault_proxy import Asked, FaultProxy, fault_proxy, refusal
from support.kube_api import Api, connect
from support.manifests import PYTHON_IMAGE, a_claim, a_config_map
from support.operator_process import OperatorProcess, running_operator
from support.own_namespace import own_namespace
from trainyard_api.times import to_rfc3339, utc_now

Manifest = dict[str, Any]
STEPS, AT = 200, 67
SECONDS = 240.0
DIGEST = "sha256:" + "ab" * 32
# `first` is true before anything has gone wrong; what stands for FAULT happens at step 67 then. Where there are several
# workers, the first one counts, the others only watch it, and what goes wrong does so in the last one.
PROGRAM = """
import json, os, pathlib, signal, sys, time
index = int(os.environ.get("TRAINYARD_WORKER_INDEX", "0"))
folder = pathlib.Path(os.environ["TRAINYARD_CHECKPOINT_DIR"])
folder.mkdir(parents=True, exist_ok=True)
journal = folder / "journal"
known = json.loads(journal.read_text()) if journal.exists() else {"furthest": 0, "at": None, "lost": 0, "gap": 0}
again = folder / f"again-{index}"
first = not again.exists()
again.touch()
while index:
    time.sleep(0.05)
    seen = json.loads(journal.read_text())["furthest"] if journal.exists() else 0
    if first and index == WORKERS - 1 and seen >= AT:
        FAULT
    if seen >= STEPS:
        sys.exit(0)
saved = folder / "checkpoint"
step = int(saved.read_text()) if saved.exists() else 0
known["lost"] += known["furthest"] - step
def save(file, text):
    (folder / "part").write_text(text)
    os.replace(folder / "part", file)
def stop(*_):
    save(saved, str(step))
    os._exit(75)
signal.signal(signal.SIGTERM, signal.SIG_IGN if first and DEAF else stop)
while step < STEPS:
    time.sleep(0.05)
    step += 1
    if step > known["furthest"]:
        now = time.time()
        known["gap"] = max(known["gap"], now - (known["at"] or now))
        known |= {"furthest": step, "at": now}
        save(journal, json.dumps(known))
    if step % 10 == 0:
        save(saved, str(step))
        print("trainyard:", json.dumps({"epoch": 0, "epochs": 1, "step": step, "steps": STEPS}), flush=True)
    if first and step == AT and WORKERS == 1:
        FAULT
model = {"name": NAME, "version": 1, "path": NAME + "/1", "digest": DIGEST, "sizeBytes": 1}
told = f"lost {known['lost']} steps, {known['gap']:.1f} s without a new one"
word = {"reason": "Done", "message": told, "epochs": 1, "steps": STEPS, "metrics": {}, "model": model}
pathlib.Path(os.environ["TRAINYARD_TERMINATION_MESSAGE_PATH"]).write_text(json.dumps(word))
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What faults are made with."""

    api: Api
    core: client.CoreV1Api
    operator: OperatorProcess
    proxy: FaultProxy

    def pods(self, name: str) -> list[Manifest]:
        return self.api.list("v1", "Pod", label_selector=f"trainyard.dev/training-job={name}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, and what it is to count as.

    Attributes:
        within: What the program itself does at step 67, as Python.
        without: What is done from outside once it has got there.
        counts: Outcomes of the attempts that are recorded for it.
        or_counts: Others that are as good.
        phase: How the training ends.
        workers: How many pods train together.
        deaf: Nobody asks the program to stop before anything has gone wrong.
    """

    name: str
    within: str = "pass"
    without: Callable[[Bench, str], None] = lambda *_: None
    policy: Manifest = field(default_factory=dict)
    image: str = PYTHON_IMAGE
    counts: tuple[str, ...] = ("Succeeded",)
    or_counts: tuple[str, ...] | None = None
    phase: str = "Succeeded"
    workers: int = 1
    deaf: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a fault came to."""

    lost: str
    counted: str
    seconds: str
    good: bool


def delete_pod(bench: Bench, name: str) -> None:
    (pod,) = bench.pods(name)
    bench.api.delete(pod)


def evict(bench: Bench, name: str) -> None:
    (pod,) = bench.pods(name)
    metadata = client.V1ObjectMeta(name=pod["metadata"]["name"])
    bench.core.create_namespaced_pod_eviction(metadata.name, bench.api.namespace, client.V1Eviction(metadata=metadata))


def lose_node(bench: Bench, name: str) -> None:
    """Do to the pod what Kubernetes does to those of a node that is gone: they end with no time to save."""
    (pod,) = bench.pods(name)
    lost = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": "its node is gone"}
    status = {"phase": "Failed", "conditions": [lost | {"lastTransitionTime": to_rfc3339(utc_now())}]}
    bench.core.patch_namespaced_pod_status(pod["metadata"]["name"], bench.api.namespace, {"status": status})
    bench.api.delete(pod, grace_seconds=0)


def delete_job(bench: Bench, name: str) -> None:
    bench.api.delete({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"{name}-worker-0"}})


def kill_operator(bench: Bench, name: str) -> None:
    bench.operator.kill()
    time.sleep(2)
    bench.operator.start()


def refuse_a_third(bench: Bench, name: str) -> None:
    chance, codes = random.Random(20261201), itertools.cycle((409, 429, 500))

    def fault(asked: Asked) -> Any:
        if asked.watch or chance.random() > 1 / 3:
            return None
        code = next(codes)
        return refusal(code, {409: "Conflict", 429: "TooManyRequests", 500: "InternalError"}[code])

    bench.proxy.fault = fault


def cut_watches(bench: Bench, name: str) -> None:
    bench.proxy.cut_watches()


STOPPED = ("Stopped", "Succeeded")
FAILED = ("Failed", "Succeeded")
FAULTS = (
    Fault("none"),
    Fault("the program is killed", "os.kill(os.getpid(), signal.SIGKILL)", counts=FAILED),
    Fault("the program raises", "raise RuntimeError('boom')", counts=FAILED),
    Fault("the program hangs", "time.sleep(3600)", policy={"stallTimeout": "30s"}, counts=FAILED),
    Fault("the pod is deleted", without=delete_pod, counts=STOPPED),
    # Kubernetes replaces the pod within the attempt, unless it was gone before its Job had seen it end.
    Fault("the pod is evicted", without=evict, counts=STOPPED, or_counts=("Succeeded",)),
    Fault("its node is lost", without=lose_node, counts=STOPPED, or_counts=("Succeeded",), deaf=True),
    Fault("one worker of three is killed", "os.kill(os.getpid(), signal.SIGKILL)", counts=FAILED, workers=3),
    Fault("the Job is deleted", without=delete_job, counts=STOPPED),
    Fault("the operator is killed for 2 s", without=kill_operator),
    Fault("a third of the operator's requests get 409, 429 or 500", without=refuse_a_third),
    Fault("the operator's watches are cut", without=cut_watches),
    Fault(
        "the image is missing",
        policy={"startupTimeout": "5s", "maxRestarts": 1},
        image="registry.example/nobody/nothing:1",
        counts=("Failed", "Failed"),
        phase="Failed",
    ),
)


def a_job(name: str, fault: Fault) -> Manifest:
    code = (
        PROGRAM.replace("STEPS", str(STEPS))
        .replace("WORKERS", str(fault.workers))
        .replace("DEAF", str(fault.deaf))
        .replace("FAULT", fault.within)
    )
    code = code.replace(" AT:", f" {AT}:").replace(" AT and", f" {AT} and")
    code = code.replace("NAME", repr(name)).replace("DIGEST", repr(DIGEST))
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {
            "program": {"container": {"image": fault.image, "command": ["python3", "-u", "-c", code]}},
            "data": {"source": {"configMap": {"name": "rows", "key": "rows.csv"}}, "label": "a"},
            "roles": {"worker": {"replicas": fault.workers}},
            "runPolicy": fault.policy,
            "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
        },
    }


def measure(bench: Bench, number: int, fault: Fault) -> Result:
    """Run one training through one fault."""
    name = f"fault-{number}"
    job, began = a_job(name, fault), time.monotonic()
    bench.api.apply(job)
    if fault.phase == "Succeeded":
        bench.api.wait_for(job, _has_step(AT // 2), timeout=SECONDS, description="it trains")
    fault.without(bench, name)
    try:
        ended = bench.api.wait_for(job, _has_ended, timeout=SECONDS)["status"]
    finally:
        bench.proxy.fault = lambda _: None
    took = time.monotonic() - began
    counted = tuple(attempt["outcome"] for attempt in ended["attempts"])
    said = next((one.get("message", "") for one in ended["conditions"] if one["type"] == "Succeeded"), "")
    told = re.search(r"lost (\d+) steps, ([\d.]+) s", said)
    good = ended["phase"] == fault.phase and counted in (fault.counts, fault.or_counts)
    lost, gap = (told[1], told[2]) if told else ("-", f"{took:.1f}, failed")
    words = f"{ended['restarts']} restarts, {counted.count('Stopped')} stops"
    verdict = "" if good else "NOT AS EXPECTED"
    print(f"{fault.name}: {ended['phase']} {counted}, lost {lost}, {gap} s {verdict}", flush=True)
    if name != "fault-0":
        bench.api.delete(job)
    return Result(lost, words, gap, good)


def finished_pod_is_deleted(bench: Bench) -> Result:
    """Delete the pod and the Job of a training that has ended: nothing may run again."""
    job = a_job("fault-0", FAULTS[0])
    before = bench.api.get(job)
    for pod in bench.pods("fault-0"):
        bench.api.delete(pod)
    delete_job(bench, "fault-0")
    time.sleep(5)
    after = bench.api.get(job)
    assert before is not None
    assert after is not None
    good = after["status"] == before["status"] and not bench.pods("fault-0")
    print(f"a finished pod and its Job are deleted: {'nothing runs again' if good else 'NOT AS EXPECTED'}", flush=True)
    return Result("0", "0 restarts, 0 stops", "0.0", good)


def _has_step(step: int) -> Callable[[Manifest], bool]:
    return lambda job: ((job.get("status", {}).get("progress") or {}).get("step") or 0) >= step


def _has_ended(job: Manifest) -> bool:
    return job.get("status", {}).get("phase") in ("Succeeded", "Failed")


def table(results: dict[str, Result]) -> str:
    """Return the results as they stand in docs/explanation/faults.md."""
    rows = [f"| {name} | {one.lost} | {one.counted} | {one.seconds} |" for name, one in results.items()]
    head = ["| Fault | Steps done again | Counted as | Seconds without a new step |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


@contextmanager
def opened(folder: Path) -> Iterator[Bench]:
    """Open everything, in a namespace that is removed afterwards."""
    with (
        given_or_devcluster(folder / "devcluster") as kubeconfig,
        connect(kubeconfig) as connected,
        fault_proxy(kubeconfig, folder) as proxy,
        own_namespace(connected, "trainyard-faults") as api,
    ):
        api.apply(a_config_map("rows", **{"rows.csv": "a\n1\n"}), a_claim("models"))
        with running_operator(proxy.kubeconfig, api.namespace, folder) as operator:
            yield Bench(api, client.CoreV1Api(connected), operator, proxy)


def main() -> int:
    """Measure all faults, or those whose names hold a word of the command line."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # an operator that is killed reads no answers
    words = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as bench:
        chosen = [(number, one) for number, one in enumerate(FAULTS) if not words or any(w in one.name for w in words)]
        results = {one.name: measure(bench, number, one) for number, one in chosen}
        if "none" in results:
            results["a finished pod and its Job are deleted"] = finished_pod_is_deleted(bench)
    print(table(results))
    return 0 if all(one.good for one in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
