"""One TrainingJob of the cluster, as an object: what it does, how it went, and what comes next."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainyard.cluster import EVENTS, PODS, TRAINING_JOBS, Cluster, Manifest
from trainyard.errors import ClusterError, Failed, NotFound, TimedOut, Usage
from trainyard.fields import parsed
from trainyard.history import History, from_csv, from_log
from trainyard.models import ModelVersion
from trainyard.plan import again, next_name
from trainyard_api.meta import Condition
from trainyard_api.names import JOB_LABEL, ROLE_LABEL
from trainyard_api.rerun import training_id
from trainyard_api.trainingjob import TrainingJob, TrainingJobStatus

if TYPE_CHECKING:
    from trainyard.screen.plots import Curves
    from trainyard.service import Service

_CONTAINER = "trainer"
_FOREVER = 10 * 365 * 86400.0


class Job:
    """A training. Properties are of when it was last read: `refresh` reads it anew, and `wait` keeps doing so.

    Args:
        cluster: Where it is.
        manifest: What the API server said of it.
        courier_image: Image of the pods that read files of the store; any with Python 3.11.
    """

    def __init__(self, cluster: Cluster, manifest: Manifest, *, courier_image: str | None = None) -> None:
        self._cluster, self.manifest, self._courier_image = cluster, manifest, courier_image

    def __repr__(self) -> str:
        return f"<Job {self.name}: {self.phase}>"

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        """Its identity."""
        return str(self.manifest["metadata"]["uid"])

    @property
    def resource(self) -> TrainingJob:
        """The whole resource, typed."""
        return parsed(TrainingJob, self.manifest)

    @property
    def status(self) -> TrainingJobStatus:
        """What the operator has observed; empty before it has seen the job."""
        return self.resource.status or TrainingJobStatus()

    @property
    def phase(self) -> str:
        """A one-word summary."""
        return str(self.manifest.get("status", {}).get("phase") or "Pending")

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics: of the model where there is one, else of the last epoch."""
        status = self.status
        found = status.model.metrics if status.model else status.progress.metrics if status.progress else {}
        return {name: float(value) for name, value in found.items()}

    @property
    def is_done(self) -> bool:
        """Whether it has ended, well or not."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def why(self) -> str:
        """Why it is in its state, in the words of its status; empty where it just runs."""
        status = self.status
        if status.failure and self.phase == "Failed":
            return f"{status.failure.reason}: {status.failure.message}"
        # The message stands in one of them alone.
        for kind, bad in (("Failed", "True"), ("Stalled", "True"), ("Suspended", "True"), ("Running", "False")):
            found = self.condition(kind)
            if found and found.status == bad and self.phase != "Succeeded":
                return f"{found.reason}: {found.message}" if found.message else found.reason
        return ""

    @property
    def model_name(self) -> str:
        """The model's name in the store."""
        return self.resource.model_name

    @property
    def model(self) -> ModelVersion:
        """The model version it made.

        Raises:
            Usage: there is none yet.
        """
        status = self.status
        if status.model is None:
            raise Usage(f"{self.name} has no model: it is {self.phase}{f' ({self.why})' if self.why else ''}")
        return ModelVersion(self._cluster, self.namespace, status.model.uri, self._courier_image)

    def condition(self, kind: str) -> Condition | None:
        """Return a condition of the status."""
        return next((each for each in self.status.conditions if each.type == kind), None)

    def refresh(self) -> "Job":
        """Read the job anew; returns itself.

        Raises:
            NotFound: it is gone.
        """
        self.manifest = self._cluster.get(TRAINING_JOBS, self.namespace, self.name)
        return self

    def changes(self, *, timeout: float | None = None) -> Iterator["Job"]:
        """Yield the job on every change, until it has ended.

        Raises:
            NotFound: it was deleted.
            TimedOut: it has not ended in time; it goes on.
        """
        seconds = _FOREVER if timeout is None else timeout
        deadline = time.monotonic() + seconds
        for manifest in self._cluster.watch(TRAINING_JOBS, self.namespace, self.name, seconds=seconds):
            if manifest is None:
                raise NotFound(f"TrainingJob {self.name} was deleted")
            self.manifest = manifest
            yield self
            if self.is_done:
                return
            if time.monotonic() > deadline:
                break
        raise TimedOut(f"{self.name} is {self.phase} after {seconds:.0f} s; it goes on: trainyard watch {self.name}")

    def wait(self, *, timeout: float | None = None, progress: bool = False) -> "Job":
        """Return once the training has succeeded.

        Args:
            timeout: Seconds to wait at most.
            progress: Show how it goes, in a terminal or a notebook.

        Raises:
            Failed: it failed; the text is the condition's message.
            TimedOut: it has not ended in time; it goes on.
        """
        if progress:
            from trainyard.screen.live import follow_job

            follow_job(self, timeout=timeout)
        else:
            for _ in self.changes(timeout=timeout):
                pass
        self.check()
        return self

    def check(self) -> None:
        """Raise Failed if the training has failed."""
        if self.phase == "Failed":
            raise Failed(f"training {self.name} failed: {self.why}")

    def pods(self) -> list[Manifest]:
        """Return the pods that are there, oldest first."""
        pods = self._cluster.select(PODS, self.namespace, labels=f"{JOB_LABEL}={self.name}")
        return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def logs(self, *, follow: bool = False, lines: int | None = None) -> Iterator[str]:
        """Yield the lines of the log of the first worker, or of the chief, of all attempts whose pods are there.

        Raises:
            NotFound: there is no pod, or it has not started.
        """
        lead = self.resource.spec.roles.lead
        pods = [pod for pod in self.pods() if _index(pod) == "0" and _role(pod) == lead]
        if not pods:
            raise NotFound(f"{self.name} has no pod: it is {self.phase}{f' ({self.why})' if self.why else ''}")
        for pod in pods:
            name = str(pod["metadata"]["name"])
            yield from self._cluster.log(
                self.namespace, name, container=_CONTAINER, follow=follow and pod is pods[-1], lines=lines
            )

    @property
    def history(self) -> Any:
        """The metrics of every epoch: a DataFrame where pandas is installed, else a list of dictionaries."""
        rows = self.read_history().to_rows()
        try:
            import pandas
        except ImportError:
            return rows
        return pandas.DataFrame(rows).set_index("epoch") if rows else pandas.DataFrame()

    def read_history(self, *, whole: bool = True) -> History:
        """Return the metrics epoch by epoch, from the log, or from the store once the pods are gone.

        Args:
            whole: Ask the store too, by a short-lived pod, where the log has less than the training.
        """
        found = History()
        with contextlib.suppress(ClusterError):
            found = from_log(self.logs())
        if whole and self.status.model and self.is_done and len(found.epochs) < self._epochs_done():
            with contextlib.suppress(NotFound, Usage):
                found = from_csv(self.model.history(training_id(self.uid, self.status.run)))
        return found

    def _epochs_done(self) -> int:
        progress = self.status.progress
        return progress.epoch if progress else 0

    def curve(self, *metrics: str) -> "Curves":
        """Return the curves of the loss and of what validation says of it, or of these metrics; notebooks draw them."""
        from trainyard.screen.plots import Curves

        return Curves({self.name: self.read_history()}, metrics)

    def card(self) -> str:
        """Return the model card, in Markdown."""
        return self.model.card()

    def download(self, folder: str | Path) -> list[Path]:
        """Copy the model version into a folder."""
        return self.model.download(Path(folder))

    def deploy(self, name: str | None = None, *, replicas: int = 1, pin: bool = False, wait: bool = True) -> "Service":
        """Serve the model, and from then on the newest version of it.

        Args:
            name: Name of the service; that of the model where absent.
            replicas: Serving pods.
            pin: Serve this very version only.
            wait: Return only once it answers.
        """
        from trainyard.service import deploy

        service = deploy(self._cluster, self, name=name or self.model_name, replicas=replicas, pin=pin)
        return service.wait() if wait else service

    def suspend(self) -> "Job":
        """Stop the pods after a checkpoint; `resume` goes on from it."""
        return self._set_suspend(True)

    def resume(self) -> "Job":
        """Go on from the last checkpoint."""
        return self._set_suspend(False)

    def train_again(self, token: str | None = None) -> "Job":
        """Train again under the same name, once it has ended: the model gets its next version.

        Args:
            token: What asks for it; the time where absent. The same token asks for nothing twice.
        """
        change = {"spec": {"runPolicy": {"rerun": token or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}}}
        self.manifest = self._cluster.patch(TRAINING_JOBS, self.namespace, self.name, change)
        return self

    def rerun(self, *, name: str | None = None, settings: Sequence[str] = ()) -> "Job":
        """Train again with the same spec, but for `settings` such as fit.epochs=50; returns the new job."""
        taken = [each["metadata"]["name"] for each in self._cluster.select(TRAINING_JOBS, self.namespace)]
        manifest = again(self.manifest, name or next_name(self.model_name, taken), settings)
        created = self._cluster.create(TRAINING_JOBS, self.namespace, manifest)
        return Job(self._cluster, created, courier_image=self._courier_image)

    def delete(self) -> None:
        """Delete the job and its pods; its model stays in the store."""
        self._cluster.delete(TRAINING_JOBS, self.namespace, self.name)

    def events(self) -> list[Manifest]:
        """Return what happened to it, oldest first."""
        return events_of(self._cluster, self.manifest)

    def _set_suspend(self, suspend: bool) -> "Job":
        if self.is_done:
            raise Usage(f"{self.name} has ended ({self.phase}): train again with trainyard rerun {self.name}")
        change = {"spec": {"runPolicy": {"suspend": suspend}}}
        self.manifest = self._cluster.patch(TRAINING_JOBS, self.namespace, self.name, change)
        return self


def events_of(cluster: Cluster, manifest: Manifest) -> list[Manifest]:
    """Return the events about an object, oldest first."""
    metadata = manifest["metadata"]
    found = cluster.select(EVENTS, metadata["namespace"], fields=f"involvedObject.uid={metadata['uid']}")
    return sorted(found, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])


def _role(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get(ROLE_LABEL, "worker"))


def _index(pod: Manifest) -> str:
    labels, annotations = pod["metadata"].get("labels") or {}, pod["metadata"].get("annotations") or {}
    key = "batch.kubernetes.io/job-completion-index"
    return str(labels.get(key) or annotations.get(key) or "0")
