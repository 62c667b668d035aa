"""From a look at a table, or a URI, to the TrainingJob that trains on it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trainyard.cluster import Manifest
from trainyard.columns import Look, Task
from trainyard.errors import Usage
from trainyard.fields import checked, slug
from trainyard.settings import with_fields, with_settings
from trainyard_api.forms import NAME_LENGTH
from trainyard_api.meta import API_VERSION
from trainyard_api.trainingjob import TrainingJob

MODEL_LABEL_KEY = "model"
"""The label that ties a ModelService to the trainings of its model, as in the quickstart."""
DEFAULT_STORE = "models"
_EPOCHS, _EPOCHS_OF_MANY, _PATIENCE, _PATIENCE_OF_MANY = 200, 20, 20, 3
_MANY_ROWS = 50_000
_TREES = ("gradientBoostedTrees", "randomForest")
_NAME_ROOM = 5
"""Characters left for the number behind a model's name."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may say about a training; everything else is found out."""

    name: str | None = None
    model: str | None = None
    task: Task | None = None
    family: str | None = None
    gpus: int = 0
    store: str | None = None
    secret: str | None = None
    settings: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the spec, such as {"fit": {"epochs": 50}}."""

    @property
    def store_fields(self) -> Manifest:
        """The store as the spec has it: a URI, or else the name of a claim."""
        store = self.store or DEFAULT_STORE
        if "://" not in store:
            return {"persistentVolumeClaim": {"claimName": store}}
        return {"uri": store} | ({"secretRef": {"name": self.secret}} if self.secret else {})


def model_name_of(file_name: str) -> str:
    """Return the name of a model for a file, such as `penguins` for `Penguins 2024.csv`."""
    stem = re.sub(r"(\.(csv|tsv|parquet|pq|gz|bz2))+$", "", file_name.rstrip("/").rpartition("/")[2])
    return slug(stem, NAME_LENGTH - _NAME_ROOM) or "model"


def next_name(model: str, taken: Iterable[str]) -> str:
    """Return the name of a model's next training: one more than the highest number there is.

    >>> next_name("penguins", ["penguins-1", "penguins-9", "churn-12"])
    'penguins-10'
    """
    numbers = [int(found[1]) for name in taken if (found := re.fullmatch(rf"{re.escape(model)}-(\d+)", name))]
    return f"{model}-{max(numbers, default=0) + 1}"


def plan_for_table(look: Look, source: Manifest, options: Options) -> Manifest:
    """Return the TrainingJob for a table that was looked at, with its data at `source`.

    Raises:
        Usage: an option or a setting is wrong.
    """
    described: Manifest = {"source": source, "label": look.label.name}
    if look.left_out:
        described["features"] = look.features
    if dates := [column.name for column in look.columns if column.kind == "date" and column.left_out is None]:
        described["columns"] = dict.fromkeys(dates, "date")
    if look.label.missing:
        described["maxBadRows"] = look.label.missing
    family = options.family or ("textClassifier" if look.is_text else None)
    return _job(described, family, options.task or look.label.task, look.rows, options)


def plan_for_uri(uri: str, label: str | None, options: Options) -> Manifest:
    """Return the TrainingJob for data that only the cluster can read.

    Raises:
        Usage: the task is not said, or an option or a setting is wrong.
    """
    if options.task is None:
        raise Usage(f"what {uri} holds cannot be seen from here: say what to predict with --task, such as regression")
    source = {"uri": uri} | ({"secretRef": {"name": options.secret}} if options.secret else {})
    described: Manifest = {"source": source} | ({"label": label} if label else {})
    return _job(described, options.family, options.task, 0, options)


def _job(described: Manifest, family: str | None, task: Task, rows: int, options: Options) -> Manifest:
    if family is None:
        tried = _job(described, "auto", task, rows, options)
        if TrainingJob.model_validate(tried).spec.tries_families:
            return tried
        family = "mlp"  # as the trainer would choose, with the epochs and the patience of a network
    model = options.model or options.name or "model"
    spec: dict[str, Any] = {
        "modelName": model,
        "program": {"keras": {"family": family, "task": task}},
        "data": described,
        "output": {"store": options.store_fields},
    }
    if family not in (*_TREES, "auto"):
        many = rows > _MANY_ROWS
        patience = _PATIENCE_OF_MANY if many else _PATIENCE
        spec["fit"] = {
            "epochs": _EPOCHS_OF_MANY if many else _EPOCHS,
            "stopWhen": {"noImprovement": {"metric": "val_loss", "epochs": patience}},
        }
    if options.gpus:
        spec["roles"] = {"worker": {"gpus": options.gpus}}
    manifest: Manifest = {
        "apiVersion": API_VERSION,
        "kind": "TrainingJob",
        "metadata": {"name": options.name or next_name(model, ()), "labels": {MODEL_LABEL_KEY: model}},
        "spec": spec,
    }
    return checked(with_fields(with_settings(manifest, options.settings), options.fields))


def named(options: Options, model: str, taken: Iterable[str]) -> Options:
    """Return the options with the names that are not given filled in.

    Raises:
        Usage: a training of that name is there already.
    """
    known = set(taken)
    if options.name and options.name in known:
        raise Usage(f"a TrainingJob {options.name} is there already: leave --name out, or give another one")
    found = options.model or (re.sub(r"-\d+$", "", options.name) if options.name else model)
    return replace(options, model=found, name=options.name or next_name(found, known))


def again(job: Manifest, name: str, settings: Sequence[str]) -> Manifest:
    """Return a new TrainingJob with the spec of another one, and what is to be different."""
    metadata: Manifest = {"name": name} | {key: job["metadata"][key] for key in ("labels",) if job["metadata"].get(key)}
    spec = {"modelName": job["metadata"]["name"]} | job["spec"]
    run_policy = {key: value for key, value in spec.get("runPolicy", {}).items() if key != "suspend"}
    spec |= {"runPolicy": run_policy} if "runPolicy" in spec else {}
    manifest = {"apiVersion": API_VERSION, "kind": "TrainingJob", "metadata": metadata, "spec": spec}
    return checked(with_settings(manifest, settings))
