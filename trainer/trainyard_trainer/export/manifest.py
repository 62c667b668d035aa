"""The manifest of a model version: which files it is made of, and where it comes from."""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from trainyard_api.code import PythonProgram
from trainyard_api.meta import API_VERSION
from trainyard_trainer.data.dataset import DataSet
from trainyard_trainer.data.labels import NumberLabels
from trainyard_trainer.data.profile import Profile
from trainyard_trainer.devices import Devices
from trainyard_trainer.export.signatures import Signatures
from trainyard_trainer.fitting.plan import Position
from trainyard_trainer.reporting.event_log import rfc3339
from trainyard_trainer.spec import Run
from trainyard_trainer.tree_settings import grows_trees

_PACKAGES = ("trainyard-operator", "tensorflow", "keras", "numpy", "pyarrow")


def describe(
    run: Run,
    *,
    signatures: Signatures,
    metrics: Mapping[str, float],
    training: Mapping[str, object],
    data: Mapping[str, object],
    slices: Mapping[str, object],
    evaluation: Mapping[str, object],
) -> dict[str, object]:
    """Return what there is to know of a model version before its files are complete and it has a number."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelManifest",
        "name": run.job.model_name,
        "created": rfc3339(),
        "trainingJob": {
            "name": run.name,
            "namespace": run.namespace,
            "uid": run.uid,
            "fingerprint": run.fingerprint,
            **({"run": run.number} if run.number else {}),
        },
        "signatures": signatures,
        "metrics": dict(metrics),
        **({"slices": dict(slices)} if slices else {}),
        **({"evaluation": dict(evaluation)} if evaluation else {}),
        "training": dict(training),
        "data": dict(data),
        "code": versions(_packages(run, training)) | ({"image": run.image} if run.image else {}) | _program(run),
    }


def _packages(run: Run, training: Mapping[str, object]) -> tuple[str, ...]:
    used = {
        "ydf": grows_trees(run.program) or "auto" in training,
        "optuna": "tuning" in training,
        "dp-accounting": run.job.spec.privacy is not None,
        "model-signing": run.signing_key is not None,
    }
    return (*_PACKAGES, *(name for name, is_used in used.items() if is_used))


def _program(run: Run) -> dict[str, object]:
    if not isinstance(run.program, PythonProgram) or run.code is None:
        return {}
    return {"entryPoint": run.program.entry_point, "hyperparameters": run.program.hyperparameters, **run.code.reference}


def describe_training(run: Run, end: Position, *, steps: int, devices: Devices) -> dict[str, object]:
    """Return how the model was trained; the seconds are those of training, without what a kill made undone."""
    return {
        "reason": end.reason,
        "epochs": end.epoch,
        "steps": steps,
        "seconds": round(end.seconds, 3),
        "gpuSeconds": round(end.seconds * devices.gpus, 3),
        "devices": devices.description,
        "seed": run.job.spec.fit.seed,
        "family": run.program.family,
        "task": run.program.task,
        "fit": run.job.spec.fit.to_wire(),
        "program": run.program.to_wire(),
    }


def describe_data(table: DataSet, profile: Profile) -> dict[str, object]:
    """Return what the model was trained on."""
    source = table.sources.training
    labels = profile.labels
    described = {
        "location": source.location,
        "format": source.format,
        "files": len(source.files),
        "bytes": source.size,
        "fingerprint": _fingerprint(table, profile),
        "rows": profile.rows,
        "badRows": len(table.bad_rows),
        "trainingRows": profile.training_rows,
        "validationRows": profile.validation_rows,
        **({"testRows": profile.test_rows} if profile.test_rows else {}),
        "label": profile.schema.label.name,
        "features": [feature.name for feature in profile.schema.features],
        "columns": [column.to_wire() for column in profile.columns],
    }
    if profile.schema.weight:
        described["weight"] = profile.schema.weight.name
    if table.bad_rows.unlabelled:
        described["unlabelledRows"] = table.bad_rows.unlabelled
    if not isinstance(labels, NumberLabels):
        described["classes"] = list(labels.names)
    for part, other in table.sources:
        if part != "training":
            described[part] = {"location": other.location, "fingerprint": other.fingerprint}
    return described


def _fingerprint(table: DataSet, profile: Profile) -> str:
    """Return what differs where the files or anything that was read of them differ, as sha256:<hex>."""
    of_files = [source.fingerprint for _, source in table.sources]
    return "sha256:" + hashlib.sha256("\n".join([*of_files, profile.content]).encode()).hexdigest()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of the code that made the model: Python's and those of packages."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version("tensorflow-cpu" if package == "tensorflow" and _is_cpu_build() else package)
        except PackageNotFoundError:
            continue
    return found


def _is_cpu_build() -> bool:
    try:
        version("tensorflow")
    except PackageNotFoundError:
        return True
    return False
