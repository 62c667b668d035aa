"""`Progress`: what a Keras program of the user's own needs to be followed from kubectl."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import keras

from trainyard_api import names
from trainyard_api.meta import API_VERSION
from trainyard_api.rerun import training_id
from trainyard_trainer.export.keras_model import write_verified
from trainyard_trainer.export.signing import sign
from trainyard_trainer.export.verify import Verifier
from trainyard_trainer.files import list_files
from trainyard_trainer.reporting.event_log import EventLog, rfc3339
from trainyard_trainer.reporting.progress_server import ProgressTracker, finite, serve
from trainyard_trainer.reporting.result import ModelVersion, termination_message, write_report
from trainyard_trainer.stores.access import Access
from trainyard_trainer.stores.folder_versions import Origin
from trainyard_trainer.stores.models import ModelStore, open_store


class Progress(keras.callbacks.Callback):
    """Shows how far `model.fit` is, and says in the end what came of it.

    `model.fit(x, y, callbacks=[Progress()])`: /progress and /metrics are served on $TRAINYARD_PORT for as long as the
    program runs, and the result is in the termination message. Where the environment names none of it, nothing happens.

    Args:
        env: The environment, for tests.
        verifier: What checks a published model, for tests.
    """

    def __init__(
        self,
        env: Mapping[str, str] = os.environ,
        *,
        verifier: Callable[[], AbstractContextManager[Verifier]] = Verifier,
    ) -> None:
        super().__init__()
        self._env, self._verifier = env, verifier
        self.tracker = ProgressTracker()
        self._began, self._first = 0.0, 0
        port = env.get(names.PORT_ENV)
        self.port = serve(self.tracker, int(port)) if port else None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Learn how much there is to do."""
        epochs, per_epoch = self.params.get("epochs") or 0, self.params.get("steps") or 0
        self._began = self.tracker.clock.now()
        self.tracker.step_ended(phase="training", epochs=epochs, steps=epochs * per_epoch)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Remember where the epoch begins: Keras counts batches anew in each."""
        self._first = self.tracker.current.step
        self.tracker.update(epoch=epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Count steps; `batch` is the last of those that ran since the call before."""
        step = self._first + batch + 1
        now = self.tracker.current
        left = max(now.steps - step, 0)
        spent = self.tracker.clock.now() - self._began
        eta = spent / step * left if now.steps else None
        self.tracker.step_ended(step=step, loss=_number(logs, "loss"), eta_seconds=eta)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take over the metrics of the epoch, and how many steps it had where nobody knew."""
        done = self.tracker.current.step
        metrics = {name: value for name in logs or {} if (value := _number(logs, name)) is not None}
        self.tracker.update(
            epoch=epoch + 1,
            metrics=metrics,
            loss=metrics.get("loss"),
            steps=self.tracker.current.steps or self.tracker.current.epochs * (done - self._first),
        )

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Leave a result without a model, should the program not get any further."""
        self.tracker.update(phase="exporting", eta_seconds=0.0)
        self._report("trained, but published no model", None)

    def publish(self, model: keras.Model | str | Path, *, any_operation: bool = False) -> ModelVersion:
        """Make a version of a model and report it; what an earlier run of the same TrainingJob made is not made again.

        A fresh process that has TensorFlow alone loads it and has to answer alike before anybody sees it. With
        `output.store.uri` it is uploaded.

        Args:
            model: A keras.Model, or the path of a SavedModel.
            any_operation: Also publish a model that may read files and do whatever else TensorFlow's operations do,
                which only a ModelService with spec.model.allowAnyOperation serves.

        Raises:
            TrainerError: BadInput: the model uses an operation that no served model may have. BadInput or
                StoreUnavailable: the store refuses or fails. ExportFailed: the model cannot be
                written, or does not answer alike.
            OSError: a folder cannot be written.
        """
        document = json.loads(Path(self._env[names.SPEC_ENV]).read_text(encoding="utf-8"))
        folder, job = Path(self._env[names.MODEL_DIR_ENV]), document["metadata"]
        store = self._store(document, folder)
        done = store.find()
        version = done.version if done else self._publish(model, store, job, folder.name, any_operation)
        keep = document.get("spec", {}).get("output", {}).get("keep", {}).get("versions")
        store.housekeeping(Path(self._env[names.SPEC_ENV])).tidy(keep, EventLog(sys.stdout))
        self.tracker.update(phase="done")
        self._report(f"trained {version.name} version {version.version}", version)
        return version

    @property
    def _run(self) -> int:
        number = self._env.get(names.RUN_ENV, "0")
        return int(number) if number.isdecimal() else 0

    def _store(self, document: Mapping[str, Any], folder: Path) -> ModelStore:
        secret = self._env.get(names.STORE_SECRET_DIR_ENV)
        return open_store(
            document.get("spec", {}).get("output", {}).get("store", {}).get("uri"),
            Access(self._env, Path(secret) if secret else None),
            folder=folder,
            name=folder.name,
            origin=Origin(training_id(document["metadata"]["uid"], self._run)),
        )

    def _publish(
        self,
        model: keras.Model | str | Path,
        store: ModelStore,
        job: Mapping[str, object],
        name: str,
        any_operation: bool,
    ) -> ModelVersion:
        staging = store.new_staging()
        with self._verifier() as fresh:  # it loads TensorFlow while the model is being written
            signatures = write_verified(model, staging, fresh, any_operation=any_operation)
        now, key = self.tracker.current, self._env.get(names.SIGNING_KEY_ENV)
        manifest = {
            "apiVersion": API_VERSION,
            "kind": "ModelManifest",
            "name": name,
            "created": rfc3339(),
            "trainingJob": {field: job.get(field, "") for field in ("name", "namespace", "uid")}
            | ({"run": self._run} if self._run else {}),
            "files": list_files(staging),
            "signatures": signatures,
            "metrics": dict(now.metrics),
            "training": {"reason": "Done", "epochs": now.epoch, "steps": now.step},
            "data": {},
            "code": {"image": self._env.get(names.IMAGE_ENV, ""), "keras": keras.version()},
        }
        return store.publish(staging, manifest, partial(sign, key=Path(key)) if key else None)

    def _report(self, message: str, version: ModelVersion | None) -> None:
        document = termination_message("Done", message, self.tracker.current, version)
        write_report(self._env.get(names.TERMINATION_MESSAGE_ENV), document)


def _number(logs: Mapping[str, float] | None, name: str) -> float | None:
    value = (logs or {}).get(name)
    return None if value is None else finite(float(value))
