"""Builds ModelServices for tests, and plays Kubernetes' part in their lives."""

import copy
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from support.fake_cluster import FakeCluster, Killed
from trainyard_api.names import COMMAND_ANNOTATION, MODEL_VERSION_LABEL, REVISION_LABEL
from trainyard_api.times import to_rfc3339
from trainyard_operator.cluster.kinds import CLAIM, DEPLOYMENT, MODEL_SERVICE, POD, SERVICE, TRAINING_JOB
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.runtime.poller import Reading
from trainyard_operator.runtime.reconciler import Key, Outcome
from trainyard_operator.runtime.service_metrics import Measures
from trainyard_operator.serving.analyst import CanaryAnalyst
from trainyard_operator.serving.checks import CheckResult, GoldenRequest
from trainyard_operator.serving.model_status import ModelReadiness
from trainyard_operator.serving.model_status_reader import Served
from trainyard_operator.serving.pod import FetchImages
from trainyard_operator.serving.reconcile import ModelServiceReconciler
from trainyard_operator.serving.revision_reader import Checked
from trainyard_operator.serving.server_metrics import Buckets, ServerMetrics
from trainyard_operator.serving.server_metrics_reader import ScrapedServer
from trainyard_operator.serving.signatures import ModelSignatures
from trainyard_operator.workloads.report import DeliveredEvents

NAMESPACE = "team"
START = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
DRAIN = timedelta(seconds=15)
LABELS = {"model": "churn"}
KEDA = {"prometheus": "http://prometheus:9090"}
GATEWAY = {"name": "edge", "namespace": "infra", "hostname": "models.example.com"}


@dataclass(frozen=True)
class ModelServiceBuilder:
    """A ModelService as the API server would hand it out, changed one thing at a time."""

    manifest: Manifest

    def named(self, name: str) -> "ModelServiceBuilder":
        return self._with("metadata", {"name": name})

    def serving(self, uri: str) -> "ModelServiceBuilder":
        return self._with("spec", {"model": {"uri": uri}})

    def following(self, **labels: str) -> "ModelServiceBuilder":
        return self._with("spec", {"model": {"fromTraining": {"selector": {"matchLabels": labels}}}})

    def with_replicas(self, count: int) -> "ModelServiceBuilder":
        return self._with("spec", {"replicas": count})

    def scaling(self, **fields: Any) -> "ModelServiceBuilder":
        return self._with("spec", {"scaling": {"max": 10, "metrics": [{"requestsPerSecond": 20}]} | fields})

    def through_gateway(self, **fields: Any) -> "ModelServiceBuilder":
        return self.with_traffic(gateway=GATEWAY | fields)

    def with_traffic(self, **fields: Any) -> "ModelServiceBuilder":
        return self._with("spec", {"traffic": fields})

    def with_optional_children(self) -> "ModelServiceBuilder":
        """Ask for every child that a service has only where its spec asks for it."""
        monitoring = {"podMonitor": True, "prometheusRule": True, "maxModelAge": 30, "labels": {"release": "p"}}
        return (
            self.scaling(min=3)
            ._with("spec", {"monitoring": monitoring})
            ._with("spec", {"traffic": {"networkPolicy": True, "gateway": GATEWAY | {"grpcHostname": "g.example.com"}}})
        )

    def with_keda(self, **fields: Any) -> "ModelServiceBuilder":
        return self.scaling(keda=KEDA | fields)

    def with_keda_by(self, metrics: list[Manifest]) -> "ModelServiceBuilder":
        return self.scaling(keda=KEDA, metrics=metrics)

    def with_server(self, **fields: Any) -> "ModelServiceBuilder":
        return self._with("spec", {"server": self.manifest["spec"].get("server", {}) | fields})

    def with_steps(self, *steps: tuple[int, str]) -> "ModelServiceBuilder":
        """Roll out by these weights, each for so long."""
        return self.with_rollout(steps=[{"weight": weight, "hold": hold} for weight, hold in steps])

    def with_rollout(self, **fields: Any) -> "ModelServiceBuilder":
        return self._with("spec", {"rollout": self.manifest["spec"].get("rollout", {}) | fields})

    def _with(self, part: str, fields: Manifest) -> "ModelServiceBuilder":
        return ModelServiceBuilder(self.manifest | {part: self.manifest[part] | fields})

    def build(self) -> Manifest:
        return copy.deepcopy(self.manifest)


def a_model_service() -> ModelServiceBuilder:
    """Start from a small valid one: one replica of version 1 of a model in a claim."""
    return ModelServiceBuilder(
        {
            "apiVersion": "trainyard.dev/v1alpha1",
            "kind": "ModelService",
            "metadata": {"name": "churn", "namespace": NAMESPACE, "uid": "uid-of-churn", "generation": 1},
            "spec": {"model": {"uri": "pvc://models/churn/1"}},
        }
    )


def a_succeeded_job(
    version: int, *, name: str = "", completed: str = "", labels: dict[str, str] | None = None, created: str = ""
) -> Manifest:
    """Return a TrainingJob that made this version of model churn."""
    completed = completed or f"2026-11-23T09:{version:02}:00Z"
    return {
        "apiVersion": "trainyard.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {
            "name": name or f"churn-{version}",
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name or version}",
            "labels": LABELS if labels is None else labels,
            "creationTimestamp": created or "2026-11-23T09:00:00Z",
        },
        "spec": {},
        "status": {
            "phase": "Succeeded",
            "completionTime": completed,
            "conditions": [
                {
                    "type": "Succeeded",
                    "status": "True",
                    "reason": "MaxEpochs",
                    "lastTransitionTime": completed,
                }
            ],
            "model": {
                "name": "churn",
                "version": version,
                "uri": f"pvc://models/churn/{version}",
                "digest": f"sha256:{version:064x}",
            },
        },
    }


@dataclass
class FakeModelStatus:
    """Answers for every pod, and remembers who was asked for what."""

    silent: bool = False
    unloaded: bool = False
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    async def latest(self, key: Key, served: Served) -> ModelReadiness:
        self.asked.append((served.address, served.model, served.version))
        if self.unloaded:
            return ModelReadiness(False, "NOT_FOUND: Could not find any versions of model churn")
        return ModelReadiness(
            not self.silent, "UNAVAILABLE: connection refused" if self.silent else "", reached=not self.silent
        )


@dataclass
class FakeRevisions:
    """What pods of new revisions answer: the same for all pods of a version."""

    results: dict[int, CheckResult] = field(default_factory=dict)
    described: dict[int, ModelSignatures] = field(default_factory=dict)
    asked: list[tuple[int, tuple[GoldenRequest, ...]]] = field(default_factory=list)

    async def checks(self, key: Key, checked: Checked) -> CheckResult | None:
        self.asked.append((checked.served.version, checked.requests))
        return self.results.get(checked.served.version, CheckResult(True))

    async def signatures(self, key: Key, served: Served) -> ModelSignatures | None:
        return self.described.get(served.version, ModelSignatures())


@dataclass
class FakeServerMetrics:
    """What model servers count of their requests, by the address of the pod."""

    counts: dict[str, ServerMetrics] = field(default_factory=dict)

    async def latest(self, key: Key, server: ScrapedServer) -> Reading[ServerMetrics]:
        return Reading(self.counts.get(server.address, requests()), START)


def requests(good: int = 0, bad: int = 0, *, slow: int = 0) -> ServerMetrics:
    """Return the counters of a server: so many requests in up to 1 ms, so many in up to 10 ms, and so many failed."""
    return ServerMetrics(Buckets((1000.0, 10000.0, float("inf")), (good, good + slow, good + slow)), bad)


@dataclass
class World:
    """A cluster with one namespace, in which tests say what Kubernetes' own controllers and the pods do."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    pods: FakeModelStatus = field(default_factory=FakeModelStatus)
    served: FakeModelStatus = field(default_factory=FakeModelStatus)
    revisions: FakeRevisions = field(default_factory=FakeRevisions)
    now: datetime = START
    fetch_images: FetchImages = field(default_factory=lambda: FetchImages("operator:test", "trainer:test"))
    delivered: DeliveredEvents = field(default_factory=DeliveredEvents)
    requests: FakeServerMetrics = field(default_factory=lambda: FakeServerMetrics())

    measured: dict[Key, Measures | None] = field(default_factory=dict)
    """What was measured last of each service."""
    room: int | None = None
    """How many pods find a place in the cluster."""
    port: Cluster | None = None
    """What the operator sees of the cluster, where it does not see it directly."""

    def __post_init__(self) -> None:
        self.analyst = CanaryAnalyst(self.requests)
        self.cluster.put(CLAIM, {"metadata": {"name": "models", "namespace": NAMESPACE}, "spec": {}})

    def fork(self) -> "World":
        """Return a world that is as this one is now, the operator's memory included, and goes its own way from here."""
        twin = copy.copy(self)
        twin.cluster, twin.requests = self.cluster.fork(), copy.deepcopy(self.requests)
        twin.delivered = replace(self.delivered, complete={*self.delivered.complete})
        twin.analyst = CanaryAnalyst(twin.requests, copy.deepcopy(self.analyst.windows))
        return twin

    def state(self) -> object:
        """Return what the future depends on, the operator's memory included."""
        counts, memory = {**self.requests.counts}, ({*self.delivered.complete}, copy.deepcopy(self.analyst.windows))
        return self.cluster.remains(), self.now, counts, memory

    def put(self, service: ModelServiceBuilder) -> "World":
        self.cluster.put(MODEL_SERVICE, service.build())
        return self

    def put_job(self, job: Manifest) -> "World":
        self.cluster.put(TRAINING_JOB, job)
        return self

    def update(self, service: ModelServiceBuilder) -> "World":
        """A user applies another spec."""
        live = self.cluster.peek(MODEL_SERVICE, NAMESPACE)[0]
        self.cluster.put(MODEL_SERVICE, live | {"spec": service.build()["spec"]})
        return self

    def order(self, text: str | None) -> "World":
        """A person annotates the ModelService with a command, or takes the annotation away."""
        live = self.cluster.peek(MODEL_SERVICE, NAMESPACE)[0]
        annotations = {COMMAND_ANNOTATION: text} if text else {}
        self.cluster.put(MODEL_SERVICE, live | {"metadata": live["metadata"] | {"annotations": annotations}})
        return self

    def restart(self) -> "World":
        """The operator is started anew: what it had in memory is lost."""
        self.delivered, self.analyst = DeliveredEvents(), CanaryAnalyst(self.requests)
        return self

    async def reconcile(self, name: str = "churn") -> Outcome:
        reconciler = ModelServiceReconciler(
            cluster=self.port or self.cluster,
            model_status=self.pods,
            served_status=self.served,
            revisions=self.revisions,
            fetch_images=self.fetch_images,
            analyst=self.analyst,
            drain=DRAIN,
            delivered=self.delivered,
            observe=self.measured.__setitem__,
            clock=lambda: self.now,
        )
        return await reconciler.reconcile(Key("ModelService", NAMESPACE, name))

    async def reconcile_or_die(self) -> None:
        """As `reconcile`, but the operator dies where the cluster was told to let it die, and is started again."""
        try:
            await self.reconcile()
        except Killed:
            self.cluster.fail_at = self.cluster.fail_after = None
            self.restart()

    async def settle(self) -> Outcome:
        """Reconcile until a reconcile changes nothing."""
        for _ in range(10):
            before = self.cluster.version
            outcome = await self.reconcile()
            if self.cluster.version == before:
                return outcome
        raise AssertionError("the reconciler does not come to rest")

    async def act(self) -> None:
        """Let everybody act once: operator, controllers, kubelets."""
        await self.reconcile()
        self.control()
        self.start_pods()

    async def run(self) -> None:
        """Let everybody act until nothing changes any more."""
        for _ in range(20):
            before = self.cluster.version
            await self.act()
            if self.cluster.version == before:
                return
        raise AssertionError("the cluster does not come to rest")

    async def run_and_die(self) -> None:
        """As `run`, but the operator dies where the cluster was told to let it die, and is started again."""
        try:
            await self.run()
        except Killed:
            self.cluster.fail_at = self.cluster.fail_after = None
            await self.restart().run()

    def later(self, **span: float) -> "World":
        self.now += timedelta(**span)
        return self

    # Kubernetes' part.

    def control(self) -> None:
        """The Deployment controller makes and deletes pods, and counts them."""
        for deployment in self.cluster.peek(DEPLOYMENT, NAMESPACE):
            name, replicas = deployment["metadata"]["name"], deployment["spec"]["replicas"]
            pods = self.pods_of(name)
            for pod in pods[replicas:]:
                self.cluster.remove(POD, NAMESPACE, pod["metadata"]["name"])
            for number in range(len(pods), replicas):
                self.cluster.put(POD, _pod(deployment, number))
            available = sum(_is_ready(pod) for pod in self.pods_of(name))
            status = {"observedGeneration": deployment["metadata"]["generation"], "availableReplicas": available}
            self.cluster.set_status(DEPLOYMENT, NAMESPACE, name, status)

    def start_pods(self, *names: str) -> "World":
        """The kubelet reports these pods, or all, as ready."""
        for pod in self.cluster.peek(POD, NAMESPACE):
            if self.room is not None and not _is_ready(pod) and self.ready_pods() >= self.room:
                self._refuse(pod)
                continue
            if not _is_ready(pod) and pod["metadata"]["name"] in (names or [pod["metadata"]["name"]]):
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": to_rfc3339(self.now)}
                address = "10.0." + ".".join(
                    map(str, divmod(zlib.crc32(pod["metadata"]["name"].encode()) % 62500, 250))
                )
                status = {"phase": "Running", "podIP": address, "conditions": [ready]}
                self.cluster.set_status(POD, NAMESPACE, pod["metadata"]["name"], status)
        self.control()
        return self

    def ready_pods(self) -> int:
        return sum(map(_is_ready, self.cluster.peek(POD, NAMESPACE)))

    def _refuse(self, pod: Manifest) -> None:
        """The scheduler finds no room; it says so once."""
        if not pod["status"].get("conditions"):
            message = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
            time = to_rfc3339(self.now)
            refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            status = {"phase": "Pending", "conditions": [refused | {"lastTransitionTime": time}]}
            self.cluster.set_status(POD, NAMESPACE, pod["metadata"]["name"], status)

    def report(self, status: Manifest) -> "World":
        """The kubelet, or the scheduler, reports this of every pod that is not ready."""
        for pod in self.cluster.peek(POD, NAMESPACE):
            if not _is_ready(pod):
                self.cluster.set_status(POD, NAMESPACE, pod["metadata"]["name"], status)
        return self

    # What tests look at.

    def pods_of(self, deployment: str) -> list[Manifest]:
        return [
            pod
            for pod in self.cluster.peek(POD, NAMESPACE)
            if pod["metadata"]["ownerReferences"][0]["name"] == deployment
        ]

    def deployments(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.cluster.peek(DEPLOYMENT, NAMESPACE)]

    def status(self) -> Manifest:
        found: Manifest = self.cluster.peek(MODEL_SERVICE, NAMESPACE)[0]["status"]
        return found

    def condition(self, name: str) -> tuple[str, str]:
        found = next(each for each in self.status()["conditions"] if each["type"] == name)
        return found["status"], found["reason"]

    def message(self, name: str) -> str:
        found = next(each for each in self.status()["conditions"] if each["type"] == name)
        return str(found["message"])

    def serving(self) -> str:
        """The revision that the stable Service points to."""
        return str(self.cluster.peek(SERVICE, NAMESPACE)[0]["spec"]["selector"][REVISION_LABEL])

    def versions(self) -> dict[int, int]:
        """How many ready pods of each model version the stable Service sends requests to."""
        selector = self.cluster.peek(SERVICE, NAMESPACE)[0]["spec"]["selector"]
        pods = [
            pod["metadata"]["labels"] for pod in self.cluster.peek(POD, NAMESPACE, labels=selector) if _is_ready(pod)
        ]
        return dict(sorted(Counter(int(labels[MODEL_VERSION_LABEL]) for labels in pods).items()))

    def count(self, version: int, good: int = 0, bad: int = 0, *, slow: int = 0) -> "World":
        """Each pod of a model version has counted so many requests since it started."""
        for pod in self.cluster.peek(POD, NAMESPACE, labels={MODEL_VERSION_LABEL: str(version)}):
            self.requests.counts[pod["status"]["podIP"]] = requests(good, bad, slow=slow)
        return self

    def events(self) -> list[str]:
        return [f"{event.type} {event.reason}" for _, _, event in self.cluster.events]


def _pod(deployment: Manifest, number: int) -> Manifest:
    metadata = deployment["metadata"]
    owner = {"kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    return {
        "metadata": {
            "name": f"{metadata['name']}-{number}",
            "namespace": metadata["namespace"],
            "creationTimestamp": to_rfc3339(START),
            "labels": deployment["spec"]["template"]["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "spec": {},
        "status": {"phase": "Pending"},
    }


def _is_ready(pod: Manifest) -> bool:
    return any(each["type"] == "Ready" for each in pod["status"].get("conditions", []))


async def a_world_serving(version: int = 1) -> World:
    """Return a cluster with a service that follows its TrainingJobs and serves this version."""
    world = World().put(a_model_service().following(**LABELS)).put_job(a_succeeded_job(version))
    await world.run()
    assert world.status()["phase"] == "Ready"
    return world
