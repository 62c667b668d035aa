"""Run the guided tour: `make demo`, or `make demo KEEP=1` to look around afterwards."""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

from demo.launcher import launched, remove, stop
from demo.manifests import documents, kustomized
from demo.predict import Predictor, Row
from demo.screen import Screen, answers, draining_line, service_line, training_line, training_panel
from demo.session import POLL_SECONDS, DemoError, Session, open_session
from demo.traffic import Tally, steady_traffic
from trainyard_devcluster.resources import DEPLOYMENTS, PODS, SERVICES, Resource

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
SYSTEM_NAMESPACE = "trainyard-system"
MODEL = "breast-cancer"
LABEL = "diagnosis"
DOUBTED = 200
RETRAIN_LEARNING_RATE = 0.001
TRAINING_JOBS = Resource("trainyard.dev", "v1alpha1", "trainingjobs", "TrainingJob")
MODEL_SERVICES = Resource("trainyard.dev", "v1alpha1", "modelservices", "ModelService")

Manifest = dict[str, Any]


class Demo:
    """The story, chapter by chapter; `times` and `facts` end up in the summary."""

    def __init__(self, session: Session, screen: Screen) -> None:
        self._session = session
        self._screen = screen
        self.times: dict[str, float] = {}
        self.facts: dict[str, Any] = {}

    async def install(self) -> None:
        """Apply the CRDs and the operator, and wait until it runs."""
        self._screen.stage("Installing Trainyard: kubectl apply -k manifests/crds, then -k manifests")
        objects = [*kustomized(ROOT / "manifests/crds"), *kustomized(ROOT / "manifests")]
        await self._session.apply([_lively(manifest) for manifest in objects])
        await self._session.wait(DEPLOYMENTS, "trainyard-operator", _available, namespace=SYSTEM_NAMESPACE, seconds=60)
        self._screen.say("the operator is running")

    async def train(self) -> None:
        """Apply the quickstart and watch it train."""
        self._screen.stage("Training on the UCI breast-cancer data: kubectl apply -k examples/quickstart")
        started = time.monotonic()
        await self._session.apply(kustomized(QUICKSTART))
        model = await self._watch_training(MODEL)
        self.times["train"] = time.monotonic() - started
        accuracy = float(model["metrics"]["val_accuracy"])
        self.facts["valAccuracy"] = accuracy
        self._screen.say(f"{model['uri']}  val_accuracy {accuracy:.3f}  {model['sizeBytes'] / 1000:.0f} kB")

    async def roll_out(self) -> None:
        """Watch the ModelService bring the model up."""
        self._screen.stage("Rolling out: the ModelService follows the newest trained version")
        started = time.monotonic()
        await self._watch_service(1)
        self.times["rollout"] = time.monotonic() - started

    async def predict(self, predictor: Predictor, row: Row, label: str) -> None:
        """Ask by REST and by gRPC, and compare with each other and with the truth."""
        self._screen.stage("Predicting: one row, by REST and by gRPC")
        started = time.monotonic()
        by_rest = await predictor.rest(row)
        self.times["first prediction"] = time.monotonic() - started
        by_grpc, version = await predictor.grpc(row)
        self._screen.say(f"POST {predictor.url}:predict  ->  {_shown(by_rest)}")
        self._screen.say(f"gRPC {predictor.grpc_address} Predict  ->  {_shown(by_grpc)}  (version {version})")
        difference = abs(float(by_rest["probability"]) - float(by_grpc["probability"]))
        if difference > 1e-5 or not by_rest["label"] == by_grpc["label"] == label:
            raise DemoError(f"expected {label} by both, got {by_rest} by REST and {by_grpc} by gRPC")
        self._screen.say(f"they agree with each other and with the pathologist: {label}")
        self.facts["prediction"] = {"label": label, "rest": by_rest, "grpc": by_grpc}

    async def retrain(self, predictor: Predictor, row: Row) -> None:
        """Train version 2 and roll it out under traffic that never retries, until nothing is left of version 1."""
        name = f"{MODEL}-2"
        self._screen.stage(f"Retraining with learning rate {RETRAIN_LEARNING_RATE}, while clients keep asking")
        started = time.monotonic()
        (job,) = documents(QUICKSTART / "trainingjob.yaml")
        job["metadata"]["name"] = name
        job["spec"]["fit"]["optimizer"]["learningRate"] = RETRAIN_LEARNING_RATE
        async with steady_traffic(predictor, row) as tally:
            await self._session.apply([job])
            model = await self._watch_training(name)
            trained = time.monotonic()
            await self._watch_service(model["version"])
            self.times["retrain to version 2 serving"] = time.monotonic() - started
            self.times["version 2 rollout"] = time.monotonic() - trained
            await self._watch_old_version_go(tally)
        self.facts["traffic"] = {"sent": tally.sent, "versions": tally.versions(), "failures": tally.failures}
        self._screen.say(f"{tally.sent} requests, {len(tally.failures)} failed; {answers(tally.versions())}")
        if tally.failures:
            raise DemoError(f"{len(tally.failures)} requests failed, the first: {tally.failures[0]}")

    async def _watch_training(self, name: str) -> Manifest:
        losses: list[float] = []
        epoch = 0
        with self._screen.live():
            async for job in self._session.follow(TRAINING_JOBS, name, seconds=240):
                status = job.get("status", {})
                progress = status.get("progress", {})
                if progress.get("loss") and progress.get("epoch", 0) > epoch:
                    epoch = progress["epoch"]
                    losses.append(float(progress["loss"]))
                self._screen.show(training_panel(job, losses), training_line(job))
                if status.get("phase") == "Failed":
                    raise DemoError(f"TrainingJob {name} failed: {status.get('failure', {}).get('message')}")
                if status.get("phase") == "Succeeded":
                    model: Manifest = status["model"]
                    return model
        raise AssertionError("follow() ends by an exception only")

    async def _watch_service(self, version: int) -> None:
        async for service in self._session.follow(MODEL_SERVICES, MODEL, seconds=120):
            self._screen.show("", service_line(service))
            status = service.get("status", {})
            if status.get("phase") == "Ready" and status["current"]["modelVersion"] == version:
                return

    async def _watch_old_version_go(self, tally: Tally) -> None:
        """Watch until no pod of version 1 is left: whoever still asks one would notice its end."""
        selector = f"trainyard.dev/model-service={MODEL},trainyard.dev/model-version=1"
        deadline = time.monotonic() + 120
        with self._screen.live():
            while pods := await self._session.list(PODS, selector):
                if time.monotonic() > deadline:
                    raise DemoError("a pod of version 1 is still there after 120 s")
                line = draining_line(pods)
                self._screen.show(f"  {line}  {answers(tally.versions())}", line)
                await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(1)


def _lively(manifest: Manifest) -> Manifest:
    """Let the operator look at the training's progress more often than a cluster would want, since someone watches."""
    if manifest["kind"] == "Deployment":
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        container["env"].append({"name": "TRAINYARD_PROGRESS_INTERVAL", "value": "0.5"})
    return manifest


def _available(deployment: Manifest) -> bool:
    conditions = deployment.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Available" and condition["status"] == "True" for condition in conditions)


def _shown(prediction: dict[str, float | str]) -> str:
    return json.dumps({name: round(v, 6) if isinstance(v, float) else v for name, v in prediction.items()})


def _example_row() -> tuple[Row, str]:
    """Return the row of request.json, which is the first of the data, and what the pathologist said of it."""
    (row,) = json.loads((QUICKSTART / "request.json").read_text())["instances"]
    return row, str(_rows()[0][LABEL])


def _rows() -> list[dict[str, float | str]]:
    with (QUICKSTART / f"{MODEL}.csv").open() as file:
        return [
            {name: value if name == LABEL else float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


async def _doubtful_row(predictor: Predictor) -> Row:
    """Return the row that the model is least sure of: another version will not say quite the same of it."""
    rows = [{name: value for name, value in row.items() if name != LABEL} for row in _rows()[:DOUBTED]]
    doubts = [abs(float((await predictor.grpc(row))[0]["probability"]) - 0.5) for row in rows]
    return rows[doubts.index(min(doubts))]


async def _run(arguments: argparse.Namespace) -> int:
    screen = Screen()
    if arguments.setup_seconds >= 1:
        screen.say(f"installed in {arguments.setup_seconds:.0f} s")
    screen.stage("Starting a devcluster: API server, controllers, scheduler and one node, as local processes")
    started = time.monotonic()
    with launched(arguments.dir, keep=arguments.keep) as cluster:
        kubeconfig = await cluster.ready()
        screen.say(f"to watch from a second terminal: export KUBECONFIG={kubeconfig}; watch kubectl get tj,ms")
        async with open_session(kubeconfig) as session:
            demo = Demo(session, screen)
            await demo.install()
            demo.times["set-up"] = time.monotonic() - started + arguments.setup_seconds
            await demo.train()
            await demo.roll_out()
            service = await session.get(SERVICES, MODEL)
            row, label = _example_row()
            async with Predictor(service["spec"]["clusterIP"], MODEL) as predictor:
                await demo.predict(predictor, row, label)
                await demo.retrain(predictor, await _doubtful_row(predictor))
    screen.summary("Trainyard demo", _summary(demo))
    if arguments.summary:
        arguments.summary.write_text(json.dumps({"times": demo.times} | demo.facts, indent=2))
    if arguments.keep:
        screen.stage("Still running; `make demo-stop` ends it")
        screen.say(f"export KUBECONFIG={kubeconfig}")
        screen.say("kubectl get tj,ms")
    return 0


def _summary(demo: Demo) -> dict[str, str]:
    order = ["set-up", "train", "rollout", "first prediction", "retrain to version 2 serving"]
    times = {name: f"{demo.times[name]:.1f} s" if demo.times[name] > 1 else f"{demo.times[name] * 1000:.0f} ms"
             for name in order}  # fmt: skip
    traffic = demo.facts["traffic"]
    return times | {
        "validation accuracy": f"{demo.facts['valAccuracy']:.3f}",
        "requests during the roll-out": f"{traffic['sent']}, {len(traffic['failures'])} failed",
    }


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="demo", description="Train, serve, predict, retrain.")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running at the end")
    parser.add_argument("--stop", action="store_true", help="only end what an earlier --keep left running")
    parser.add_argument("--dir", type=Path, default=ROOT / ".devcluster", help="the cluster's state folder")
    parser.add_argument("--summary", type=Path, help="write times and facts to this file, as JSON")
    parser.add_argument("--setup-seconds", type=float, default=0.0, help="seconds the installation took before this")
    arguments = parser.parse_args()
    if arguments.stop:
        print(remove(arguments.dir))  # the one line a script reads
        return 0
    stop(arguments.dir)
    try:
        return asyncio.run(_run(arguments))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)  # the one line a script reads
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
