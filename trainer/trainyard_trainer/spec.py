"""What to do: the TrainingJob, and where its data, checkpoints and model are. From a pod or a laptop alike."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainyard_api import names
from trainyard_api.code import PythonProgram
from trainyard_api.housekeeping import Keep
from trainyard_api.program import ModelProgram
from trainyard_api.rerun import training_id
from trainyard_api.trainingjob import KIND, TrainingJob
from trainyard_trainer.errors import BadInput, did_you_mean, one_line
from trainyard_trainer.programs.code import UserCode, find_code
from trainyard_trainer.rules import broken_rules
from trainyard_trainer.stores.access import Access
from trainyard_trainer.workers.cluster import Cluster, cluster_for

LOCAL_STORE = "trainyard-out"
"""Store below the current folder where the environment names none."""

CACHE_ENV = "TRAINYARD_CACHE_BYTES"
"""How much of the data may be kept in memory instead of being read anew for each epoch."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the training writes: model versions, checkpoints and logs."""

    model: Path
    checkpoints: Path
    logs: Path


@dataclass(frozen=True, slots=True)
class Run:
    """One training: the job, its identity and its surroundings."""

    job: TrainingJob
    uid: str
    fingerprint: str
    program: ModelProgram
    data_location: str
    data_access: Access
    store_access: Access
    folders: Folders
    port: int | None
    cache_bytes: int | None
    image: str | None = None
    signing_key: Path | None = None
    code: UserCode | None = None
    cluster: Cluster = field(default_factory=Cluster)
    startup_seconds: float = 900.0
    number: int = 0
    source: Path | None = None
    fold: int | None = None

    @property
    def training_id(self) -> str:
        """By what the store knows it: a TrainingJob that trains again begins another training."""
        return training_id(self.uid, self.number)

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.job.metadata["name"])

    @property
    def namespace(self) -> str:
        """The job's namespace, empty outside a cluster."""
        return str(self.job.metadata.get("namespace", ""))


def tuning_folder(run: Run) -> Path:
    """Return where a search keeps its trials until the best one is published."""
    return run.folders.checkpoints / "tuning"


def read_run(path: str | None, env: Mapping[str, str]) -> Run:
    """Read the spec at `path`, or at $TRAINYARD_SPEC, and resolve everything it leaves to the surroundings.

    Raises:
        BadInput: no spec, not a TrainingJob, an unknown or wrong field, or data that is nowhere to be found.
    """
    return run_of(read_job(path, env), env, spec_file(path, env))


def read_job(path: str | None, env: Mapping[str, str]) -> TrainingJob:
    """Read the spec at `path`, or at $TRAINYARD_SPEC.

    Raises:
        BadInput: no spec, not a TrainingJob, or an unknown or wrong field.
    """
    return parse_job(read_document(spec_file(path, env)))


def spec_file(path: str | None, env: Mapping[str, str]) -> Path:
    """Return `path`, or $TRAINYARD_SPEC.

    Raises:
        BadInput: there is neither.
    """
    path = path or env.get(names.SPEC_ENV)
    if not path:
        raise BadInput(f"expected the path of a TrainingJob as the argument or in ${names.SPEC_ENV}, got neither")
    return Path(path)


def run_of(job: TrainingJob, env: Mapping[str, str], source: Path | None = None) -> Run:
    """Resolve everything that a training leaves to the surroundings. `source` is the file that the job was read from.

    Raises:
        BadInput: data that is nowhere to be found, or settings that do not go together.
    """
    uid = str(job.metadata.get("uid") or local_uid(job))
    number = number_in(names.RUN_ENV, env, most=1 << 31) or 0
    asked_for = fingerprint(job)
    cluster = cluster_for(job.spec, _program(job), env)
    job = _with_family(job, alone=cluster.count == 1)
    program = _program(job)
    return Run(
        job=job,
        uid=uid,
        fingerprint=asked_for,
        program=program,
        data_location=data_location(job, env),
        data_access=access_by(names.DATA_SECRET_DIR_ENV, env),
        store_access=access_by(names.STORE_SECRET_DIR_ENV, env),
        folders=folders_of(job.model_name, training_id(uid, number), env),
        port=number_in(names.PORT_ENV, env, most=65535),
        cache_bytes=number_in(CACHE_ENV, env, most=1 << 50),
        image=env.get(names.IMAGE_ENV),
        signing_key=_signing_key(job, env),
        code=find_code(program, env) if isinstance(program, PythonProgram) else None,
        cluster=cluster,
        startup_seconds=number_in(names.STARTUP_TIMEOUT_ENV, env, most=7 * 86400) or 900,
        number=number,
        source=source,
    )


def kept(run: Run) -> Keep:
    """Return what is to stay in the store, as the spec says now: it may change while the training runs."""
    try:
        return parse_job(read_document(run.source), rules=False).spec.output.keep if run.source else Keep()
    except BadInput:
        return run.job.spec.output.keep


def read_document(path: Path) -> dict[str, Any]:
    """Return the one TrainingJob in a JSON or YAML file.

    Raises:
        BadInput: the file cannot be read, or holds no TrainingJob, or more than one.
    """
    try:
        text = path.read_text(encoding="utf-8")
        documents = _yaml(text) if path.suffix in (".yaml", ".yml") else [json.loads(text)]
    except (OSError, ValueError) as error:
        raise BadInput(f"expected a TrainingJob in {path}: {one_line(error)}") from error
    jobs = [document for document in documents if isinstance(document, dict) and document.get("kind", KIND) == KIND]
    if len(jobs) != 1:
        raise BadInput(f"expected one object of kind {KIND} in {path}, got {len(jobs)}")
    return jobs[0]


def _yaml(text: str) -> list[object]:
    import yaml  # costs an import that a pod, whose spec is JSON, does not need

    try:
        return [_as_json(document) for document in yaml.safe_load_all(text)]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _as_json(value: object) -> object:
    """Return a YAML value as kubectl sends it: the keys of an object are texts, `yes` and `no` are true and false."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(key, default=str): _as_json(v) for key, v in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


def parse_job(document: Mapping[str, object], *, rules: bool = True) -> TrainingJob:
    """Return the typed TrainingJob; unlike in the operator, a field it does not know is an error.

    Without `rules` each field is checked for itself only.

    Raises:
        BadInput: a field is unknown, missing or wrong; the message names up to three of them.
    """
    try:
        job = TrainingJob.model_validate(document, extra="forbid")
    except ValidationError as error:
        problems = [_problem(problem) for problem in error.errors()]
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise BadInput("; ".join(problems[:3]) + more) from error
    if rules and (broken := list(broken_rules(job))):
        raise BadInput("; ".join(broken[:3]))
    if not job.metadata.get("name"):
        raise BadInput("metadata.name is missing: the job and, by default, its model are named by it")
    return job


def _problem(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        parent = _model_at(error["loc"][:-1])
        known = [field.alias or name for name, field in parent.model_fields.items()] if parent else []
        return f"unknown field {where}{did_you_mean(str(error['loc'][-1]), known)}"
    if error["type"] == "missing":
        return f"missing field {where}"
    unquoted = error["type"] == "string_type" and isinstance(error["input"], bool | int | float)
    advice = "; a text that YAML takes for something else needs quotes, such as " if unquoted else ""
    example = ('"yes"' if isinstance(error["input"], bool) else f'"{error["input"]}"') if unquoted else ""
    return f"{where}: {error['msg']}, got {json.dumps(error['input'], default=str)[:200]}{advice}{example}"


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] = TrainingJob
    for part in location:
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not models:
            return None
        model = models[0]
    return model


def local_uid(job: TrainingJob) -> str:
    """Return an identity for a job no API server gave one: the same spec has the same."""
    canonical = json.dumps([job.metadata["name"], job.spec.to_wire()], sort_keys=True)
    return "local-" + hashlib.sha256(canonical.encode()).hexdigest()[:12]


def fingerprint(job: TrainingJob) -> str:
    """Return what jobs of one name and namespace have in common that ask for the same model, as sha256:<hex>.

    Defaults are left out, so that a field of a later version of Trainyard changes nothing.
    """
    asked = job.spec.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
        exclude_defaults=True,
        include={"program", "data", "fit", "tuning", "privacy"},
    )
    whose = [job.metadata["name"], job.metadata.get("namespace", ""), job.model_name]
    return "sha256:" + hashlib.sha256(json.dumps([*whose, asked], sort_keys=True).encode()).hexdigest()


def terms(run: Run) -> dict[str, object]:
    """Return what workers must have in common to train together."""
    spec = run.job.spec.to_wire()
    parts = {f"spec.{name}": spec.get(name) for name in ("program", "data", "fit", "checkpoint")}
    parts["the code of spec.program.python"] = dict(run.code.reference) if run.code else {}
    digests = {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:12] for name, part in parts.items()
    }
    return {
        "the job": run.name,
        "the number of workers": run.cluster.count,
        "the version of trainyard": version("trainyard-operator"),
    } | digests


def _program(job: TrainingJob) -> ModelProgram:
    if job.spec.program.model is None:
        raise BadInput("spec.program.container brings a program of its own: run that image, not this trainer")
    return job.spec.program.model


def _with_family(job: TrainingJob, *, alone: bool) -> TrainingJob:
    """Return the job with family mlp for auto where the spec asks for something that a network has and trees have not.

    So a spec that says how a network is to be trained, and names no family, means what it always meant.
    """
    spec, program = job.spec, job.spec.program.keras
    if program is None or program.family != "auto" or (spec.tries_families and alone):
        return job
    network = spec.program.model_copy(update={"keras": program.model_copy(update={"family": "mlp"})})
    return job.model_copy(update={"spec": spec.model_copy(update={"program": network})})


def data_location(job: TrainingJob, env: Mapping[str, str]) -> str:
    """Return the path or URI of the data."""
    source = job.spec.data.source
    given = [field for field in ("uri", "config_map", "persistent_volume_claim") if getattr(source, field) is not None]
    if len(given) != 1:
        raise BadInput("set exactly one of uri, configMap and persistentVolumeClaim in spec.data.source")
    if source.uri is not None:
        return source.uri
    mounted = env.get(names.DATA_DIR_ENV)
    if not mounted:
        raise BadInput(
            "spec.data.source is a volume, which only a cluster mounts: "
            f"set ${names.DATA_DIR_ENV} to the file or folder to read, or use spec.data.source.uri"
        )
    return mounted


def access_by(variable: str, env: Mapping[str, str]) -> Access:
    """Return the credentials in the folder that a variable names, over those of the environment."""
    folder = env.get(variable)
    return Access(env, Path(folder) if folder else None)


def _signing_key(job: TrainingJob, env: Mapping[str, str]) -> Path | None:
    if job.spec.output.signing is None:
        return None
    mounted = env.get(names.SIGNING_KEY_ENV)
    if not mounted:
        raise BadInput(
            "spec.output.signing names a Secret, which only a cluster mounts: "
            f"set ${names.SIGNING_KEY_ENV} to the file of the private key, or leave out spec.output.signing"
        )
    return Path(mounted)


def folders_of(model_name: str, identity: str, env: Mapping[str, str]) -> Folders:
    """Return where a training writes."""
    model = Path(env.get(names.MODEL_DIR_ENV) or Path(LOCAL_STORE) / model_name).absolute()
    work = model / ".training" / identity
    return Folders(
        model=model,
        checkpoints=Path(env.get(names.CHECKPOINT_DIR_ENV) or work / "checkpoints").absolute(),
        logs=Path(env.get(names.LOG_DIR_ENV) or work / "logs").absolute(),
    )


def number_in(variable: str, env: Mapping[str, str], *, most: int) -> int | None:
    """Return the number that a variable holds, if it is set."""
    text = env.get(variable)
    if not text:
        return None
    if not text.isdecimal() or int(text) > most:
        raise BadInput(f"expected a number from 0 to {most} in ${variable}, got {text!r}")
    return int(text)
