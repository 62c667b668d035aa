"""A Job and its pods in memory, moved by the controller's pure parts, one API call at a time."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

from support.workloads import NOW, Object, ended
from trainyard_devcluster.controllers.job import census, manage
from trainyard_devcluster.controllers.job.pod import build
from trainyard_devcluster.controllers.job.report import report
from trainyard_devcluster.controllers.job.spec import TRACKING_FINALIZER, finished_at, parse


class World:
    """What the API server would hold."""

    def __init__(self, job: Object) -> None:
        self.job = job
        self.pods: dict[str, Object] = {}
        self.events: list[str] = []
        self.now = NOW
        self.runs: dict[str, str] = {}
        """Every pod there ever was, and how it ended: the truth that the Job's counters are held to."""
        self._serial = count()

    @property
    def status(self) -> Object:
        found: Object = self.job["status"]
        return found

    @property
    def conditions(self) -> dict[str, str]:
        return {
            entry["type"]: entry["reason"] for entry in self.status.get("conditions", []) if entry["status"] == "True"
        }

    def sync(self) -> Iterator[None]:
        """One run of the controller; it pauses after every API call, where a crash may hit."""
        if finished_at(self.job):
            return
        spec = parse(self.job)
        own = list(self.pods.values())
        counts = census.take(self.job, spec, own)
        wanted = manage.actions(self.job, spec, counts, own, self.now)
        for index in wanted.start:
            self._create(build(self.job, spec, index, counts.last_failures.get(index or 0)))
            yield
        for pod in wanted.remove:
            self._release(pod)
            yield
            self.delete(pod)
            yield
        for pod in wanted.stop:
            self.delete(pod)
            yield
        told = report(self.job, spec, list(self.pods.values()), self.now)
        if told.status != self.status:
            self.job = self.job | {"status": told.status}
            yield
        self.events += [reason for _, reason, _ in told.events]
        for pod in told.releases:
            self._release(pod)
            yield

    def settle(self) -> "World":
        """Run the controller until it has nothing more to do."""
        for _ in range(50):
            calls = sum(1 for _ in self.sync())
            if not calls:
                return self
        raise AssertionError("the controller does not come to rest")

    def wait(self, seconds: float) -> "World":
        self.now += timedelta(seconds=seconds)
        return self

    def running(self) -> list[str]:
        return sorted(name for name, pod in self.pods.items() if pod["status"]["phase"] == "Running")

    def end(self, name: str, code: int, finished: float = 0) -> None:
        """The pod's container ends."""
        self.pods[name] = ended(self.pods[name], code, finished=finished)
        self.runs[name] = "Failed" if code else "Succeeded"
        self._sweep(name)

    def delete(self, pod: Object) -> None:
        """Somebody deletes the pod; its node ends it at once."""
        name = pod["metadata"]["name"]
        if name not in self.pods:
            return
        present = self.pods[name]
        marked = present["metadata"] | {"deletionTimestamp": self.now.isoformat()}
        self.pods[name] = present | {"metadata": marked}
        if present["status"]["phase"] == "Running":
            tracked = TRACKING_FINALIZER in present["metadata"].get("finalizers", [])
            self.end(name, 137)
            if not tracked:
                self.runs[name] = "Removed"
        self._sweep(name)

    def _create(self, pod: Object) -> None:
        name = f"{pod['metadata'].pop('generateName')}{next(self._serial)}"
        pod["metadata"] |= {"name": name, "uid": f"uid-{name}", "creationTimestamp": self.now.isoformat()}
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": self.now.isoformat()}]
        self.pods[name] = pod | {"status": {"phase": "Running", "conditions": ready}}

    def _release(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        if name not in self.pods:
            return
        present = self.pods[name]
        kept = [entry for entry in present["metadata"].get("finalizers", []) if entry != TRACKING_FINALIZER]
        self.pods[name] = present | {"metadata": present["metadata"] | {"finalizers": kept}}
        self._sweep(name)

    def _sweep(self, name: str) -> None:
        pod = self.pods.get(name)
        if pod is None:
            return
        over = pod["status"]["phase"] != "Running" and "deletionTimestamp" in pod["metadata"]
        if over and not pod["metadata"].get("finalizers"):
            del self.pods[name]
