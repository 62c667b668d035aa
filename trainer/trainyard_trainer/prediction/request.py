"""What to predict: the TrainingJob, and where its data, the model and the predictions are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainyard_api import names
from trainyard_api.fit import Checkpoint, Fit
from trainyard_api.prediction import PredictProgram
from trainyard_api.rerun import training_id
from trainyard_api.trainingjob import TrainingJob
from trainyard_trainer.errors import BadInput, listed
from trainyard_trainer.spec import access_by, data_location, folders_of, local_uid, number_in
from trainyard_trainer.stores.access import Access

_OF_DATA = {"source", "format", "csv", "maxBadRows"}


@dataclass(frozen=True, slots=True)
class Request:
    """One batch scoring, and its surroundings.

    `store` is the path or URI that models are kept below, and `folder` the one in it that the predictions go to.
    `mounted` is the model version where it is on a claim.
    """

    job: TrainingJob
    program: PredictProgram
    uid: str
    data_location: str
    data_access: Access
    store_access: Access
    store: str
    folder: str
    mounted: Path | None
    port: int | None

    @property
    def where(self) -> str:
        """The folder of the predictions, relative to the store."""
        return self.shown(self.folder)

    def shown(self, address: str) -> str:
        """Return an address as the spec has it, or else relative to the store."""
        if self.mounted and address == str(self.mounted):
            return self.program.model.uri or address
        return address.removeprefix(f"{self.store}/")


def request_of(job: TrainingJob, program: PredictProgram, env: Mapping[str, str]) -> Request:
    """Resolve everything that the spec leaves to the surroundings.

    Raises:
        BadInput: data that is nowhere to be found, or fields that mean nothing here.
    """
    _refuse_what_trains(job)
    uid = str(job.metadata.get("uid") or local_uid(job))
    run = training_id(uid, number_in(names.RUN_ENV, env, most=1 << 31) or 0)
    model = folders_of(job.model_name, run, env).model
    store = (job.spec.output.store.uri or str(model.parent)).rstrip("/")
    mounted = env.get(names.PREDICT_MODEL_DIR_ENV)
    return Request(
        job=job,
        program=program,
        uid=uid,
        data_location=data_location(job, env),
        data_access=access_by(names.DATA_SECRET_DIR_ENV, env),
        store_access=access_by(names.STORE_SECRET_DIR_ENV, env),
        store=store,
        folder=f"{store}/{job.model_name}/predictions/{run}",
        mounted=Path(mounted) if mounted else None,
        port=number_in(names.PORT_ENV, env, most=65535),
    )


def _refuse_what_trains(job: TrainingJob) -> None:
    spec = job.spec
    data = spec.data.model_dump(by_alias=True, exclude_defaults=True)
    fields = [f"data.{name}" for name in sorted(data.keys() - _OF_DATA)]
    fields += ["fit"] if spec.fit != Fit() else []
    fields += ["checkpoint"] if spec.checkpoint != Checkpoint() else []
    if fields:
        raise BadInput(
            f"program.predict trains nothing, and reads the columns that the model takes: remove {listed(fields)} "
            f"(of data it reads {listed(sorted(_OF_DATA))})"
        )
