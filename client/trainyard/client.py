"""The way in: one namespace of one cluster, and everything Trainyard does there."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from trainyard.cluster import MODEL_SERVICES, TRAINING_JOBS, Cluster, Manifest
from trainyard.columns import Look, Task, look_at
from trainyard.courier import Progress, no_progress
from trainyard.delivery import Delivery, deliver, delivery_of, ensure_store, own
from trainyard.errors import NotFound, Usage
from trainyard.fields import checked
from trainyard.job import Job
from trainyard.plan import DEFAULT_STORE, Options, model_name_of, named, plan_for_table, plan_for_uri
from trainyard.service import Service, deploy
from trainyard.settings import with_settings
from trainyard.tables import open_table
from trainyard_api.meta import API_VERSION
from trainyard_api.suggestions import did_you_mean, listed

if TYPE_CHECKING:
    from trainyard.screen.plots import Curves


@dataclass(frozen=True, slots=True)
class Training:
    """A training that is planned and not yet started."""

    manifest: Manifest
    look: Look | None = None
    delivery: Delivery | None = None
    store_named: bool = True

    @property
    def name(self) -> str:
        """The name of the job to be."""
        return str(self.manifest["metadata"]["name"])


class Client:
    """Trainyard in one namespace.

    Args:
        namespace: The namespace; that of the kubeconfig's context, or of the pod, where absent.
        kubeconfig: A kubeconfig; $KUBECONFIG, ~/.kube/config or the pod's own account where absent.
        context: A context of the kubeconfig; the current one where absent.
        courier_image: Image of the short-lived pods that carry files to and from claims; any with Python 3.11.
        cluster: The cluster itself, in place of a kubeconfig.

    Example:
        >>> client = Client()                                    # doctest: +SKIP
        >>> job = client.train("penguins.csv", label="species")  # doctest: +SKIP
        >>> job.wait(progress=True).metrics                      # doctest: +SKIP
        {'val_accuracy': 0.971}
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        courier_image: str | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        if cluster is None:
            from trainyard.kube import connect  # its import takes half a second

            cluster = connect(kubeconfig, context)
        self.cluster = cluster
        self.namespace = namespace or cluster.namespace
        self._courier_image = courier_image

    def train(
        self,
        data: Any,
        label: str | None = None,
        *,
        name: str | None = None,
        gpus: int = 0,
        task: Task | None = None,
        family: str | None = None,
        store: str | None = None,
        keep: Sequence[str] = (),
        drop: Sequence[str] = (),
        **fields: Any,
    ) -> Job:
        """Start a training, and return at once.

        Args:
            data: A DataFrame, a list of dictionaries, the path of a CSV or Parquet file, a URI that the cluster can
                read, or the path of a TrainingJob in YAML.
            label: The column to predict.
            name: Name of the job, or of the model where that is not given; found from the file where absent.
            gpus: GPUs of the pod.
            task: What to predict; found out where the data can be looked at.
            family: Kind of model, such as mlp or gradientBoostedTrees; where absent, several are tried for a table.
            store: Claim, or URI, that keeps the model; the claim `models` where absent, made where there is none.
            keep: Columns to learn from even if they look useless.
            drop: Columns to leave out.
            fields: Further fields of the spec, such as fit={"epochs": 50}.

        Raises:
            Usage: something does not make sense; nothing was sent.
            Refused: the API server does not accept the job.
        """
        options = Options(name=name, task=task, family=family, gpus=gpus, store=store, fields=fields)
        return self.start(self.plan(data, label, options, keep=keep, drop=drop))

    def plan(
        self,
        source: Any,
        label: str | None,
        options: Options,
        *,
        keep: Sequence[str] = (),
        drop: Sequence[str] = (),
        data_claim: str | None = None,
    ) -> Training:
        """Return the training that `start` would start; nothing is sent."""
        if isinstance(source, str | Path) and Path(source).suffix in (".yaml", ".yml"):
            return Training(checked(with_settings(_document(Path(source), TRAINING_JOBS.kind), options.settings)))
        taken = [job["metadata"]["name"] for job in self.cluster.select(TRAINING_JOBS, self.namespace)]
        if isinstance(source, str) and "://" in source:
            options = named(options, model_name_of(source), taken)
            return Training(plan_for_uri(source, label, options), store_named=options.store is not None)
        table = open_table(source)
        look = look_at(table, _label_of(label, table.columns), task=options.task, keep=keep, drop=drop)
        options = named(options, model_name_of(table.name), taken)
        store = options.store or DEFAULT_STORE
        claim = data_claim or (None if "://" in store else store)
        delivery = delivery_of(table.content, str(options.model), claim=claim)
        manifest = plan_for_table(look, delivery.source, options)
        return Training(manifest, look, delivery, store_named=options.store is not None)

    def start(
        self,
        training: Training,
        *,
        progress: Progress = no_progress,
        sending: Callable[[], None] = lambda: None,
    ) -> Job:
        """Bring the data to the cluster, and start the training.

        Args:
            training: What `plan` returned.
            progress: Is told the bytes sent and in all.
            sending: Is called before anything is sent.
        """
        store = training.manifest["spec"]["output"]["store"].get("persistentVolumeClaim", {}).get("claimName")
        if store and training.look:
            ensure_store(self.cluster, self.namespace, store, named=training.store_named)
        if training.delivery:
            sending()
            deliver(self.cluster, self.namespace, training.delivery, image=self._courier_image, progress=progress)
        created = self.cluster.create(TRAINING_JOBS, self.namespace, training.manifest)
        if training.delivery:
            own(self.cluster, self.namespace, training.delivery, created)
        return self._job(created)

    def create(self, manifest: Mapping[str, Any]) -> Job | Service:
        """Create a TrainingJob or a ModelService from its manifest.

        Raises:
            Usage: a field is unknown or wrong; nothing was sent.
        """
        resource = checked(manifest)
        if resource["kind"] == TRAINING_JOBS.kind:
            return self._job(self.cluster.create(TRAINING_JOBS, self.namespace, resource))
        return Service(self.cluster, self.cluster.create(MODEL_SERVICES, self.namespace, resource))

    def job(self, name: str) -> Job:
        """Return a training.

        Raises:
            NotFound: there is none of that name; the text names the nearest one.
        """
        try:
            return self._job(self.cluster.get(TRAINING_JOBS, self.namespace, name))
        except NotFound as error:
            raise self._no_such("training", name, [job.name for job in self.jobs()]) from error

    def jobs(self, pattern: str = "*", *, everywhere: bool = False) -> list[Job]:
        """Return the trainings whose names match a pattern such as penguins-*, oldest first."""
        found = self.cluster.select(TRAINING_JOBS, None if everywhere else self.namespace)
        jobs = [self._job(each) for each in found if fnmatch.fnmatchcase(each["metadata"]["name"], pattern)]
        return sorted(jobs, key=lambda job: (job.manifest["metadata"]["creationTimestamp"], job.name))

    def service(self, name: str) -> Service:
        """Return a service.

        Raises:
            NotFound: there is none of that name; the text names the nearest one.
        """
        try:
            return Service(self.cluster, self.cluster.get(MODEL_SERVICES, self.namespace, name))
        except NotFound as error:
            raise self._no_such("service", name, [service.name for service in self.services()]) from error

    def services(self, *, everywhere: bool = False) -> list[Service]:
        """Return the services, in the order of their names."""
        found = self.cluster.select(MODEL_SERVICES, None if everywhere else self.namespace)
        return sorted((Service(self.cluster, each) for each in found), key=lambda service: service.name)

    def deploy(self, job: Job | str, name: str | None = None, *, replicas: int = 1, pin: bool = False) -> Service:
        """Serve the model of a training; does not wait until it answers."""
        found = self.job(job) if isinstance(job, str) else job
        return deploy(self.cluster, found, name=name or found.model_name, replicas=replicas, pin=pin)

    def compare(self, *names: str) -> Any:
        """Return settings that differ, and final metrics, of several trainings: a DataFrame where pandas is there.

        Args:
            names: Names, or patterns such as penguins-*.
        """
        from trainyard.comparison import compare

        return compare(self.matching(names)).to_frame()

    def curves(self, *names: str, metrics: Sequence[str] = ()) -> "Curves":
        """Return the curves of several trainings, by names or patterns; notebooks draw them."""
        from trainyard.screen.plots import Curves

        return Curves({job.name: job.read_history() for job in self.matching(names)}, metrics)

    def matching(self, names: Sequence[str]) -> list[Job]:
        """Return the trainings of these names or patterns.

        Raises:
            NotFound: a name or a pattern fits none.
        """
        found: dict[str, Job] = {}
        for name in names:
            jobs = self.jobs(name) if set(name) & set("*?[") else [self.job(name)]
            if not jobs:
                raise self._no_such("training", name, [job.name for job in self.jobs()])
            found |= {job.name: job for job in jobs}
        return list(found.values())

    def _job(self, manifest: Manifest) -> Job:
        return Job(self.cluster, manifest, courier_image=self._courier_image)

    def _no_such(self, kind: str, name: str, known: Sequence[str]) -> NotFound:
        better = did_you_mean(name, known) or (
            f"; there are {listed(sorted(known))}" if known else "; there is none yet"
        )
        return NotFound(f"namespace {self.namespace} has no {kind} {name}{better}")


def _label_of(label: str | None, columns: Sequence[str]) -> str:
    if label is None:
        raise Usage(f"which column is to be predicted? Name it with --label: {listed(columns, 12)}")
    return label


def _document(path: Path, kind: str) -> Manifest:
    if not path.exists():
        raise Usage(f"the file {path} does not exist")
    try:
        documents = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if isinstance(each, dict)]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        what = " ".join(str(error).split())
        hint = "; indent with spaces, not tabs" if "\\t" in what else ""
        raise Usage(f"{path} is not YAML: {what}{hint}") from error
    found = [each for each in documents if each.get("kind", kind) == kind]
    if len(found) != 1:
        raise Usage(f"expected one {kind} in {path}, got {len(found)}")
    return {"apiVersion": API_VERSION, "kind": kind} | found[0]
