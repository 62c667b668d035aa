"""How much time and memory the operator takes, on a devcluster: `make bench`.

* apply to process: from the apply of a TrainingJob until its program runs, next to a bare `batch/v1` Job with the very
  same pod, interleaved, so that the difference is the operator's.
* succeeded to serving: from a TrainingJob's Succeeded until its version takes all the traffic of a ModelService.
* memory: the operator's resident set when nothing happens.

Times are seen by a client that polls every 20 ms, on the machine's one clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from demo.__main__ import MODEL, MODEL_SERVICES, QUICKSTART, TRAINING_JOBS, Demo
from demo.launcher import launched
from demo.manifests import documents
from demo.screen import Screen
from demo.session import Session, open_session
from trainyard_devcluster.resources import JOBS
from trainyard_devcluster.strays import NODE_MARK, marked
from trainyard_operator.settings import Settings

Manifest = dict[str, Any]
POLL_SECONDS = 0.02
# Writes the moment it started to where the trainer would write its model.
PROGRAM = """\
import os, pathlib, sys, time
folder = pathlib.Path(os.environ["TRAINYARD_MODEL_DIR"])
folder.mkdir(parents=True, exist_ok=True)
(folder / (sys.argv[1] + ".started")).write_text(repr(time.time()))
"""


async def apply_to_process(session: Session, volumes: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds from apply to process of TrainingJobs, and of bare Jobs with the same pod."""
    operated, bare = [], []
    for number in range(rounds):
        name = f"start-{number}"
        manifest = _probe_job(name)
        applied = time.time()
        await session.apply([manifest])
        operated.append(await _started(volumes, name) - applied)
        template = (await session.get(JOBS, f"{name}-worker-0"))["spec"]
        bare_name = f"bare-{number}"
        job = _bare_job(bare_name, template)
        applied = time.time()
        await session.apply([job])
        bare.append(await _started(volumes, bare_name) - applied)
    return operated, bare


async def succeeded_to_serving(session: Session, rounds: int) -> list[float]:
    """Return the seconds from Succeeded to 100 % of the traffic, for one new version after another."""
    seconds = []
    for number in range(rounds):
        (job,) = documents(QUICKSTART / "trainingjob.yaml")
        job["metadata"]["name"] = f"{MODEL}-again-{number}"
        job["spec"]["fit"] |= {"epochs": 2, "seed": number}
        await session.apply([job])
        succeeded = None
        while True:
            status = (await session.get(TRAINING_JOBS, job["metadata"]["name"])).get("status", {})
            if status.get("phase") == "Failed":
                raise SystemExit(f"a training failed: {status['failure']}")
            if succeeded is None and status.get("phase") == "Succeeded":
                succeeded = time.monotonic()
            if succeeded is not None:
                service = (await session.get(MODEL_SERVICES, MODEL))["status"]
                if service["current"]["modelVersion"] == status["model"]["version"] and service["phase"] == "Ready":
                    break
            await asyncio.sleep(POLL_SECONDS)
        seconds.append(time.monotonic() - succeeded)
    return seconds


def operator_memory(cluster: Path) -> float:
    """Return the resident memory, in MiB, of the operator that runs on the devcluster of this folder."""
    for pid in marked(NODE_MARK, str(cluster.resolve())):
        process = Path("/proc") / str(pid)
        if b"trainyard_operator" in (process / "cmdline").read_bytes().split(b"\0"):
            fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
            return int(fields["VmRSS"].split()[0]) / 1024
    raise SystemExit(f"no process of the operator found on the devcluster in {cluster}")


def _probe_job(name: str) -> Manifest:
    (job,) = documents(QUICKSTART / "trainingjob.yaml")
    job["metadata"] = {"name": name}
    job["spec"]["program"] = {
        "container": {"image": Settings().trainer_image, "command": ["python", "-c", PROGRAM, name]}
    }
    return job


def _bare_job(name: str, spec: Manifest) -> Manifest:
    template = json.loads(json.dumps(spec["template"]))
    template["metadata"]["labels"] = {"bench": name}
    template["spec"]["containers"][0]["command"][-1] = name
    kept = {key: spec[key] for key in ("backoffLimit", "completions", "parallelism", "completionMode")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": kept | {"template": template},
    }


async def _started(volumes: Path, name: str) -> float:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for file in volumes.rglob(f"{name}.started"):
            if text := file.read_text():
                return float(text)
        await asyncio.sleep(POLL_SECONDS)
    raise SystemExit(f"{name} did not start within 60 s")


def _line(name: str, seconds: list[float]) -> str:
    median, worst = statistics.median(seconds), max(seconds)
    return f"{name:<44} median {median * 1000:7.0f} ms   max {worst * 1000:7.0f} ms   n={len(seconds)}"


async def _run(rounds: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="trainyard-bench-") as folder,
        launched(Path(folder) / "cluster", keep=False) as cluster,
    ):
        async with open_session(await cluster.ready()) as session:
            demo = Demo(session, Screen())
            await demo.install()
            await demo.train()
            await demo.roll_out()
            operated, bare = await apply_to_process(session, cluster.folder, rounds)
            serving = await succeeded_to_serving(session, max(2, rounds // 3))
            await asyncio.sleep(10)
            memory = operator_memory(cluster.folder)
    print()
    print(_line("TrainingJob: apply to process", operated))
    print(_line("bare batch/v1 Job, same pod: apply to process", bare))
    print(f"{'ratio of the medians':<44} {statistics.median(operated) / statistics.median(bare):.2f}")
    print(_line("succeeded to new version serving 100 %", serving))
    print(f"{'operator, resident memory when idle':<44} {memory:.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="pairs of jobs (default: 10)")
    sys.exit(asyncio.run(_run(parser.parse_args().rounds)))
