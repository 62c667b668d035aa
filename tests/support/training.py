"""Builds TrainingJobs for tests, and plays Kubernetes' part in their lives."""

import copy
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from support.fake_cluster import FakeCluster
from trainyard_api.times import Clock, to_rfc3339
from trainyard_operator.cluster.kinds import CLAIM, CONFIG_MAP, JOB, POD, TRAINING_JOB
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.runtime.poller import Reading
from trainyard_operator.runtime.reconciler import Key, Outcome
from trainyard_operator.training.pod import TrainerImages
from trainyard_operator.training.progress import Snapshot
from trainyard_operator.training.progress_reader import Trainer, read_log
from trainyard_operator.training.reconcile import TrainingJobReconciler

NAMESPACE = "team"
START = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32


@dataclass(frozen=True)
class TrainingJobBuilder:
    """A TrainingJob as the API server would hand it out, changed one thing at a time."""

    manifest: Manifest

    def named(self, name: str) -> "TrainingJobBuilder":
        return self._with("metadata", {"name": name})

    def with_spec(self, **fields: Any) -> "TrainingJobBuilder":
        return self._with("spec", fields)

    def with_gpus(self, count: int, resource: str = "nvidia.com/gpu") -> "TrainingJobBuilder":
        return self.with_worker(gpus=count, gpuResource=resource)

    def with_worker(self, **fields: Any) -> "TrainingJobBuilder":
        return self.with_spec(roles={"worker": fields})

    def with_run_policy(self, **fields: Any) -> "TrainingJobBuilder":
        return self.with_spec(runPolicy=self.manifest["spec"].get("runPolicy", {}) | fields)

    def with_container(self, **fields: Any) -> "TrainingJobBuilder":
        return self.with_spec(program={"container": fields})

    def with_python(self, **fields: Any) -> "TrainingJobBuilder":
        python = {"entryPoint": "model:build", "task": "binaryClassification"} | fields
        return self.with_spec(program={"python": python})

    def with_data(self, **source: Any) -> "TrainingJobBuilder":
        return self.with_spec(data={"label": "churned", "source": source})

    def _with(self, part: str, fields: Manifest) -> "TrainingJobBuilder":
        return TrainingJobBuilder(self.manifest | {part: self.manifest[part] | fields})

    def build(self) -> Manifest:
        return copy.deepcopy(self.manifest)


def a_training_job() -> TrainingJobBuilder:
    """Start from a small valid one: CSV in a ConfigMap, store in a claim."""
    return TrainingJobBuilder(
        {
            "apiVersion": "trainyard.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": "churn", "namespace": NAMESPACE, "uid": "uid-of-churn", "generation": 1},
            "spec": {
                "program": {"keras": {"task": "binaryClassification"}},
                "data": {"label": "churned", "source": {"configMap": {"name": "rows", "key": "rows.csv"}}},
                "output": {"store": {"persistentVolumeClaim": {"claimName": "models"}}},
            },
        }
    )


def a_report(**fields: Any) -> Manifest:
    """Return the last word of a trainer that wrote version 1 of model churn."""
    model = {"name": "churn", "version": 1, "path": "churn/1", "digest": DIGEST, "sizeBytes": 4096}
    return {
        "reason": "MaxEpochs",
        "message": "trained 10 epochs",
        "epochs": 10,
        "steps": 100,
        "loss": 0.25,
        "metrics": {"val_accuracy": 0.96875},
        "model": model,
        "lastCheckpoint": {"step": 100, "path": "churn/.training/x/ckpt-100", "time": "2026-11-23T10:01:00Z"},
    } | fields


@dataclass
class FakeProgress:
    """Answers for the training pod, or its log does, and remembers who was asked."""

    cluster: FakeCluster
    clock: Clock
    answer: Snapshot | None = None
    asked: list[str] = field(default_factory=list)
    last: dict[Trainer, Reading[Snapshot]] = field(default_factory=dict)

    async def latest(self, key: Key, trainer: Trainer) -> Reading[Snapshot] | None:
        self.asked.append(trainer.address)
        answer = self.answer
        if answer is None and trainer.prints:
            answer = await read_log(self.cluster, trainer)
        if answer is not None:
            self.last[trainer] = Reading(answer, self.clock())
        return self.last.get(trainer)


@dataclass
class World:
    """A cluster with one namespace, in which tests say what Kubernetes' own controllers and the trainer do."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    now: datetime = START

    def __post_init__(self) -> None:
        self.progress = FakeProgress(self.cluster, self.clock)
        self.restart()
        self.put_config_map("rows", {"rows.csv": "a,churned\n1,yes\n"})
        self.put_claim("models")

    def restart(self) -> "World":
        """The operator is started (anew): what it had in memory is lost."""
        self.reconciler = TrainingJobReconciler(
            cluster=self.cluster,
            progress=self.progress,
            trainer_images=TrainerImages("trainer:test", "trainer:test-gpu"),
            clock=self.clock,
        )
        return self

    def fork(self) -> "World":
        """Return a world that is as this one is now, the operator's memory included, and goes its own way from here."""
        twin, memory = copy.copy(self), self.reconciler
        twin.cluster = self.cluster.fork()
        twin.progress = replace(
            self.progress, cluster=twin.cluster, clock=twin.clock, asked=[], last={**self.progress.last}
        )
        twin.reconciler = replace(
            memory,
            cluster=twin.cluster,
            progress=twin.progress,
            clock=twin.clock,
            delivered=replace(memory.delivered, complete={*memory.delivered.complete}),
            cleaned={**memory.cleaned},
            asked={**memory.asked},
            nodes=copy.copy(memory.nodes),
        )
        return twin

    def state(self) -> object:
        """Return what the future depends on, the operator's memory included."""
        memory = self.reconciler
        known = {*memory.delivered.complete}, {**memory.cleaned}, {**memory.asked}, copy.copy(memory.nodes)
        return self.cluster.remains(), self.now, self.progress.answer, {**self.progress.last}, known

    def clock(self) -> datetime:
        return self.now

    def put(self, job: TrainingJobBuilder) -> "World":
        self.cluster.put(TRAINING_JOB, job.build())
        return self

    def put_config_map(self, name: str, content: dict[str, str]) -> None:
        self.cluster.put(CONFIG_MAP, {"metadata": {"name": name, "namespace": NAMESPACE}, "data": content})

    def put_claim(self, name: str) -> None:
        self.cluster.put(CLAIM, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {}})

    async def reconcile(self, name: str = "churn") -> Outcome:
        return await self.reconciler.reconcile(Key("TrainingJob", NAMESPACE, name))

    async def act(self) -> None:
        """Let the operator act once."""
        await self.reconcile()

    async def settle(self, name: str = "churn") -> Outcome:
        """Reconcile until a reconcile changes nothing."""
        for _ in range(10):
            before = self.cluster.version
            outcome = await self.reconcile(name)
            if self.cluster.version == before:
                return outcome
        raise AssertionError("the reconciler does not come to rest")

    def later(self, **span: float) -> "World":
        self.now += timedelta(**span)
        return self

    def update_spec(self, **fields: Any) -> None:
        """A user changes the run policy."""
        live = self.cluster.peek(TRAINING_JOB)[0]
        live["spec"]["runPolicy"] = live["spec"].get("runPolicy", {}) | fields
        self.cluster.put(TRAINING_JOB, live)

    def job(self, attempt: int = 0, name: str = "churn") -> Manifest:
        return self.cluster.objects["jobs", NAMESPACE, f"{name}-worker-{attempt}"]

    def jobs(self) -> list[str]:
        return [job["metadata"]["name"] for job in self.cluster.peek(JOB)]

    def status(self, name: str = "churn") -> Manifest:
        status: Manifest = self.cluster.objects["trainingjobs", NAMESPACE, name].get("status", {})
        return status

    def conditions(self, name: str = "churn") -> dict[str, Manifest]:
        return {each["type"]: each for each in self.status(name).get("conditions", [])}

    def events(self) -> list[str]:
        return [f"{event.type} {event.reason}" for _, _, event in self.cluster.events]

    # What Kubernetes does.

    def create_pod(self, attempt: int = 0, *, index: int = 0, node: str = "node-1", **status: Any) -> None:
        job = self.job(attempt)
        name = f"{job['metadata']['name']}-{index}-abcde"
        owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True} | {
            key: job["metadata"][key] for key in ("name", "uid")
        }
        self.cluster.set_status(JOB, NAMESPACE, job["metadata"]["name"], {"startTime": to_rfc3339(self.now)})
        self.cluster.put(
            POD,
            {
                "metadata": {
                    "name": name,
                    "namespace": NAMESPACE,
                    "labels": job["spec"]["template"]["metadata"]["labels"],
                    "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
                    "ownerReferences": [owner],
                },
                "spec": {"nodeName": node},
                "status": {"phase": "Pending"} | status,
            },
        )

    def pod_status(self, attempt: int, *, index: int = 0, **status: Any) -> None:
        self.cluster.set_status(POD, NAMESPACE, f"churn-worker-{attempt}-{index}-abcde", status)

    def run_pod(self, attempt: int = 0, *, index: int = 0) -> None:
        state = {"running": {"startedAt": to_rfc3339(self.now)}}
        address = f"10.0.0.{7 + index}"
        self.pod_status(
            attempt,
            index=index,
            phase="Running",
            podIP=address,
            containerStatuses=[{"name": "trainer", "state": state}],
        )

    def delete_pod(self, attempt: int = 0, *, index: int = 0) -> None:
        """Ask the pod to end; it is there until it has."""
        pod = self.cluster.objects["pods", NAMESPACE, f"churn-worker-{attempt}-{index}-abcde"]
        pod["metadata"]["deletionTimestamp"] = to_rfc3339(self.now)

    def remove_pod(self, attempt: int = 0, *, index: int = 0) -> None:
        self.cluster.remove(POD, NAMESPACE, f"churn-worker-{attempt}-{index}-abcde")

    def end_pod(self, attempt: int = 0, *, code: int, message: Any = "", index: int = 0, **terminated: Any) -> None:
        """End the container; the message is a report, or text."""
        text = message if isinstance(message, str) else json.dumps(message)
        ended = {"exitCode": code, "message": text, "startedAt": to_rfc3339(START)} | terminated
        self.pod_status(
            attempt,
            index=index,
            phase="Failed" if code else "Succeeded",
            conditions=terminated.pop("conditions", []),
            containerStatuses=[{"name": "trainer", "state": {"terminated": ended}}],
        )

    def end_trainer(self, attempt: int = 0, *, code: int, message: Any = "", index: int = 0) -> None:
        """End the trainer's container; a sidecar goes on, and so do the pod and its Job."""
        text = message if isinstance(message, str) else json.dumps(message)
        times = {"startedAt": to_rfc3339(START), "finishedAt": to_rfc3339(self.now)}
        self.pod_status(
            attempt,
            index=index,
            phase="Running",
            podIP=f"10.0.0.{7 + index}",
            containerStatuses=[
                {"name": "trainer", "state": {"terminated": {"exitCode": code, "message": text} | times}},
                {"name": "istio-proxy", "state": {"running": {"startedAt": to_rfc3339(START)}}},
            ],
        )

    def end_job(
        self, attempt: int = 0, *, reason: str = "BackoffLimitExceeded", failed: bool = True, message: str = ""
    ) -> None:
        condition = {
            "message": message,
            "type": "Failed" if failed else "Complete",
            "status": "True",
            "reason": reason if failed else "CompletionsReached",
            "lastTransitionTime": to_rfc3339(self.now),
        }
        name = self.job(attempt)["metadata"]["name"]
        started = self.job(attempt).get("status", {}).get("startTime")
        self.cluster.set_status(JOB, NAMESPACE, name, {"startTime": started, "conditions": [condition]})

    def fail(self, attempt: int = 0, *, code: int = 1, message: Any = "", **terminated: Any) -> None:
        self.end_pod(attempt, code=code, message=message, **terminated)
        self.end_job(attempt, reason="PodFailurePolicy" if code in (2, 3) else "BackoffLimitExceeded")

    def succeed(self, attempt: int = 0, message: Any = None) -> None:
        self.end_pod(attempt, code=0, message=a_report() if message is None else message)
        self.end_job(attempt, failed=False)

    async def running(self, attempt: int = 0) -> "World":
        """Bring an attempt to where its containers run, each on a node of its own."""
        await self.settle()
        for index in range(self.job(attempt)["spec"]["completions"]):
            self.create_pod(attempt, index=index, node=f"node-{index + 1}")
            self.run_pod(attempt, index=index)
        await self.settle()
        return self
