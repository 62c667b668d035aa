"""One ModelService of the cluster, as an object: whether it answers, and its answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainyard.cluster import CONFIG_MAPS, MODEL_SERVICES, TRAINING_JOBS, Cluster, Manifest
from trainyard.errors import Conflict, Failed, NotFound, Refused, TimedOut, TrainyardError, Unreachable, Usage
from trainyard.fields import checked, parsed
from trainyard.plan import MODEL_LABEL_KEY
from trainyard.predictions import (
    Instance,
    Prediction,
    Signature,
    answers_in,
    batches,
    body_of,
    example_of,
    instances_of,
    signature_of,
)
from trainyard.tables import open_text
from trainyard_api.meta import API_VERSION, Condition
from trainyard_api.modelservice import ModelService, ModelServiceStatus
from trainyard_api.names import COMMAND_ANNOTATION, REST_PORT
from trainyard_api.times import to_rfc3339, utc_now

if TYPE_CHECKING:
    from trainyard.job import Job

_FOREVER = 10 * 365 * 86400.0
_READY_SECONDS = 600.0
_STALLED = "Stalled"


class Service:
    """A model that is served. Properties are of when it was last read, as with `Job`."""

    def __init__(self, cluster: Cluster, manifest: Manifest) -> None:
        self._cluster, self.manifest = cluster, manifest
        self._signature: Signature | None = None

    def __repr__(self) -> str:
        return f"<Service {self.name}: {self.phase}>"

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def resource(self) -> ModelService:
        """The whole resource, typed."""
        return parsed(ModelService, self.manifest)

    @property
    def status(self) -> ModelServiceStatus:
        """What the operator has observed; empty before it has seen the service."""
        return self.resource.status or ModelServiceStatus()

    @property
    def phase(self) -> str:
        """A one-word summary."""
        return str(self.manifest.get("status", {}).get("phase") or "Pending")

    @property
    def url(self) -> str | None:
        """The REST address inside the cluster, up to the model's name."""
        return self.status.url

    @property
    def is_current(self) -> bool:
        """Whether the status is about the spec as it is."""
        return bool(self.status.observed_generation == self.manifest["metadata"].get("generation", 0))

    @property
    def is_ready(self) -> bool:
        """Whether what is wanted answers on all replicas."""
        ready = self.condition("Ready")
        return bool(self.is_current and ready and ready.status == "True")

    @property
    def why(self) -> str:
        """Why it is not ready, in the words of its status; empty where it is."""
        ready = self.condition("Ready")
        if ready is None or ready.status != "False":
            return ""
        return f"{ready.reason}: {ready.message}" if ready.message else ready.reason

    def condition(self, kind: str) -> Condition | None:
        """Return a condition of the status."""
        return next((each for each in self.status.conditions if each.type == kind), None)

    def refresh(self) -> "Service":
        """Read the service anew; returns itself."""
        self.manifest = self._cluster.get(MODEL_SERVICES, self.namespace, self.name)
        self._signature = None
        return self

    def changes(self, *, timeout: float | None = None) -> Iterator["Service"]:
        """Yield the service on every change, until it is ready.

        Raises:
            NotFound: it was deleted.
            Failed: somebody has to change something first.
            TimedOut: it is not ready in time.
        """
        seconds = _FOREVER if timeout is None else timeout
        for manifest in self._cluster.watch(MODEL_SERVICES, self.namespace, self.name, seconds=seconds):
            if manifest is None:
                raise NotFound(f"ModelService {self.name} was deleted")
            self.manifest, self._signature = manifest, None
            yield self
            if self.is_ready:
                return
            stalled = self.condition(_STALLED)
            if self.is_current and stalled and stalled.status == "True":
                raise Failed(f"service {self.name} cannot come up: {self.why}")
        raise TimedOut(f"{self.name} is not ready after {seconds:.0f} s: {self.why or self.phase}")

    def wait(self, *, timeout: float | None = _READY_SECONDS, progress: bool = False) -> "Service":
        """Return once the model answers on all replicas.

        Raises:
            Failed: it cannot come up; the text is the condition's message.
            TimedOut: it is not ready in time.
        """
        if progress:
            from trainyard.screen.live import follow_service

            follow_service(self, timeout=timeout)
        else:
            for _ in self.changes(timeout=timeout):
                pass
        return self

    def signature(self) -> Signature:
        """Return what the model takes and answers.

        Raises:
            Unreachable: nobody answers.
        """
        if self._signature is None:
            model = self._model_name()
            reply = self._ask(f"v1/models/{model}/metadata")
            if reply[0] != 200:
                raise Unreachable(f"model {model} of {self.name} does not answer: {reply[1].decode()[:200]}")
            self._signature = signature_of(model, json.loads(reply[1]))
        return self._signature

    def predict(self, rows: Any) -> Any:
        """Return the model's answer to each row.

        Args:
            rows: A DataFrame, a list of dictionaries, or one dictionary. Values may be missing.

        Returns:
            A DataFrame, a list of dictionaries, or one dictionary, as the rows came.

        Raises:
            Usage: a row does not fit the model.
            Refused: the model says what is wrong.
            Unreachable: nobody answers.
        """
        if hasattr(rows, "to_dict") and hasattr(rows, "index"):
            return type(rows)(self.answers(rows.to_dict("records")), index=rows.index)
        if isinstance(rows, Mapping):
            return self.answers([rows])[0]
        return self.answers(list(rows))

    def answers(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Return the model's answer to each row."""
        if not rows:
            raise Usage("there is no row to predict from")
        signature = self.signature()
        return self.ask(instances_of(rows, signature))

    def ask(self, instances: Sequence[Instance]) -> list[Prediction]:
        """Return the model's answer to each instance, which is sent as it is."""
        signature = self.signature()
        found: list[Prediction] = []
        for batch in batches(instances):
            status, body = self._ask(self.path, body_of(batch))
            found += answers_in(status, body, signature)
        return found

    @property
    def path(self) -> str:
        """The path of a prediction."""
        return f"v1/models/{self._model_name()}:predict"

    @property
    def place(self) -> str:
        """The address inside the cluster that the path goes to."""
        return (self.url or "").partition("/v1/")[0]

    def example(self) -> Instance:
        """Return a row to try: the first one it was trained on where that is within reach, else an empty one."""
        signature = self.signature()
        row = self._trained_row()
        return instances_of([row], signature)[0] if row else example_of(signature)

    def delete(self) -> None:
        """Take the model out of service; it stays in the store."""
        self._cluster.delete(MODEL_SERVICES, self.namespace, self.name)

    def command_rollout(self, word: str) -> None:
        """Tell the rollout to `promote`, `abort`, `pause`, `resume` or `retry`; the same word twice acts twice."""
        command = f"{word}:{to_rfc3339(utc_now())}"
        change = {"metadata": {"annotations": {COMMAND_ANNOTATION: command}}}
        self.manifest = self._cluster.patch(MODEL_SERVICES, self.namespace, self.name, change)

    def roll_back(self) -> int | None:
        """Go back to the version that served before, and stay with it; return it.

        None where a new version was about to take over: then that is sent back.

        Raises:
            Usage: no other version is known to have served.
        """
        if self.status.next or self.status.canary:
            self.command_rollout("abort")
            return None
        former = next((entry for entry in self.status.history if entry.promoted and entry.outcome != "Promoted"), None)
        if former is None:
            raise Usage(f"status.history of service {self.name} has no other version that has served")
        follows = self.resource.spec.model.from_training is not None
        model = {"version": former.model_version} if follows else {"uri": former.uri, "digest": former.digest}
        change = {"spec": {"model": model}}
        self.manifest = self._cluster.patch(MODEL_SERVICES, self.namespace, self.name, change)
        return former.model_version

    def _trained_row(self) -> Mapping[str, Any] | None:
        current = self.status.current
        if current is None or current.training_job is None:
            return None
        try:
            job = self._cluster.get(TRAINING_JOBS, self.namespace, current.training_job)
            source = job["spec"]["data"]["source"].get("configMap")
            held = self._cluster.get(CONFIG_MAPS, self.namespace, source["name"]) if source else {}
            text = next(
                (value for key, value in (held.get("data") or {}).items() if source.get("key") in (None, key)), ""
            )
            return next(iter(open_text(text, "the data").rows()), None) if text else None
        except TrainyardError:
            return None

    def _model_name(self) -> str:
        if not self.url:
            raise Unreachable(f"service {self.name} serves nothing yet: {self.why or self.phase}")
        return self.url.rpartition("/")[2]

    def _ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        method = "GET" if body is None else "POST"
        try:
            reply = self._cluster.proxy(self.namespace, f"{self.name}:{REST_PORT}", path, method=method, body=body)
        except (Unreachable, NotFound) as error:
            why = f"{self.why or self.phase}; " if not self.is_ready else ""
            raise Unreachable(f"service {self.name} does not answer: {why}{error}") from error
        return reply.status, reply.body


def deploy(cluster: Cluster, job: "Job", *, name: str, replicas: int = 1, pin: bool = False) -> Service:
    """Create the ModelService of a training, or let the one of that name serve it; does not wait.

    Raises:
        Usage: the training has no model, or the service serves another one.
    """
    uri = job.model.uri
    label = (job.manifest["metadata"].get("labels") or {}).get(MODEL_LABEL_KEY)
    follow = {"fromTraining": {"selector": {"matchLabels": {MODEL_LABEL_KEY: label}}}}
    secret = job.manifest["spec"]["output"]["store"].get("secretRef")
    model = follow if label and not pin else {"uri": uri}
    manifest = checked(
        {
            "apiVersion": API_VERSION,
            "kind": MODEL_SERVICES.kind,
            "metadata": {"name": name},
            "spec": {"model": model | ({"secretRef": secret} if secret else {}), "replicas": replicas},
        }
    )
    try:
        return Service(cluster, cluster.create(MODEL_SERVICES, job.namespace, manifest))
    except Conflict:
        return _redeployed(cluster, job, manifest)


def _redeployed(cluster: Cluster, job: "Job", manifest: Manifest) -> Service:
    name, wanted = manifest["metadata"]["name"], manifest["spec"]["model"]
    there = Service(cluster, cluster.get(MODEL_SERVICES, job.namespace, name))
    current = there.status.current
    if current and current.uri.rstrip("/").rpartition("/")[0] != job.model.uri.rstrip("/").rpartition("/")[0]:
        raise Usage(f"service {name} serves another model ({current.uri}): give this one another name with --name")
    change: Manifest = {"model": dict.fromkeys(there.manifest["spec"]["model"]) | wanted}
    change["replicas"] = manifest["spec"]["replicas"]
    try:
        changed = cluster.patch(MODEL_SERVICES, job.namespace, name, {"spec": change})
    except Refused as error:
        raise Usage(f"service {name} cannot serve {job.name}: {error}") from error
    return Service(cluster, changed)
