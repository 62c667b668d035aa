"""From a trained model to a complete version in the store: write, verify in a fresh process, describe, publish."""

import errno
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

import keras
import tensorflow as tf

from trainyard_api.code import PythonProgram
from trainyard_api.names import MODEL_CARD_FILE, TEXT_SIGNATURE
from trainyard_api.program import ModelProgram
from trainyard_trainer.devices import Devices
from trainyard_trainer.export.manifest import describe, describe_data, describe_training
from trainyard_trainer.export.model_card import model_card
from trainyard_trainer.export.saved_model import ServingModel, samples, save
from trainyard_trainer.export.signing import sign
from trainyard_trainer.export.slices import metrics_by_slice
from trainyard_trainer.export.text_inputs import example_row
from trainyard_trainer.export.verify import Verifier
from trainyard_trainer.export.warmup import write_warmup
from trainyard_trainer.files import list_files, naming_full_disk
from trainyard_trainer.fitting.fit import Trained
from trainyard_trainer.fitting.prepared import Prepared
from trainyard_trainer.programs.operations import check_saved
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.result import ModelVersion
from trainyard_trainer.spec import Run
from trainyard_trainer.stores.models import ModelStore

KERAS_FILE = "model.keras"
"""The network alone, as Keras' load_model takes it."""


def name_of(program: ModelProgram) -> str:
    """Return what a message calls the model of a program."""
    if isinstance(program, PythonProgram):
        return f"the model of program.python.entryPoint {program.entry_point}"
    return f"the model of family {program.family}"


def publish_model(
    run: Run,
    prepared: Prepared,
    trained: Trained,
    devices: Devices,
    verifier: Verifier,
    *,
    store: ModelStore,
    steps: int,
    event_log: EventLog,
    evaluation: Mapping[str, object],
    tuning: Mapping[str, object] | None = None,
) -> ModelVersion:
    """Return the version that others may serve from now on.

    `evaluation` tells how good it is, and `tuning` of the search that it is the best of.

    Raises:
        BadInput: the model uses an operation that none may have.
        ExportFailed: what was written does not answer like the trained model.
        OSError: the store fails.
    """
    staging = store.new_staging()
    try:
        with naming_full_disk(staging):
            return _publish(
                run,
                prepared,
                trained,
                devices,
                verifier,
                store=store,
                staging=staging,
                steps=steps,
                event_log=event_log,
                evaluation=evaluation,
                tuning=tuning,
            )
    except tf.errors.OpError as error:  # how TensorFlow tells that it cannot write
        if not any(os.strerror(number) in error.message for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)):
            raise
        raise OSError(errno.ENOSPC, "no space left to write the model below", str(staging)) from error
    finally:  # of a version that is complete, nothing is left there
        shutil.rmtree(staging, ignore_errors=True)


def _publish(
    run: Run,
    prepared: Prepared,
    trained: Trained,
    devices: Devices,
    verifier: Verifier,
    *,
    store: ModelStore,
    staging: Path,
    steps: int,
    event_log: EventLog,
    evaluation: Mapping[str, object],
    tuning: Mapping[str, object] | None,
) -> ModelVersion:
    signatures = save(ServingModel(trained.model, trained.encoder, trained.task), staging)
    check_saved(staging, name_of(run.program))
    if "keras" in (run.job.spec.output.formats or ()):
        cast(keras.Model, trained.model).save(staging / KERAS_FILE)
    inputs, answers = samples(prepared.table, trained)
    if prepared.privacy is None:  # those are rows of the data
        write_warmup(staging, model_name=run.job.model_name, specs=trained.encoder.signature(), rows=inputs)
    operations = verifier.check(staging, inputs, answers)
    event_log.write("verified", "a fresh process loaded the model and answered alike", operations=operations)
    training = describe_training(run, trained.end, steps=steps, devices=devices)
    manifest = describe(
        run,
        signatures=signatures,
        metrics=trained.end.metrics,
        training=training | dict(trained.facts) | ({"tuning": tuning} if tuning else {}),
        data=describe_data(prepared.table, prepared.profile),
        slices=metrics_by_slice(prepared, trained),
        evaluation=evaluation,
    )
    if TEXT_SIGNATURE in signatures and prepared.privacy is None:
        manifest["exampleRow"] = example_row(inputs)
    (staging / MODEL_CARD_FILE).write_text(model_card(manifest), encoding="utf-8")
    sign_with_key = partial(sign, key=run.signing_key) if run.signing_key else None
    return store.publish(staging, manifest | {"files": list_files(staging)}, sign_with_key)
