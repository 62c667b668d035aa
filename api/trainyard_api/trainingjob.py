"""TrainingJob: one model to train, from data to a version in a store."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field

from trainyard_api.data import Data
from trainyard_api.failure import Failure
from trainyard_api.fit import ALWAYS_REPORTED, LEARNING_RATE, LOSSES, METRICS, SVM_LOSSES, Checkpoint, Fit, StopWhen
from trainyard_api.forms import KEY_PATTERN
from trainyard_api.gpu_seconds import GpuSeconds
from trainyard_api.housekeeping import Keep
from trainyard_api.meta import (
    NAME_RULE,
    ApiModel,
    Conditions,
    Label,
    Name,
    Time,
    rule,
    rules,
)
from trainyard_api.names import CONTROLLER
from trainyard_api.privacy import PRIVACY_RULES, Privacy
from trainyard_api.profile import ProfileStatus
from trainyard_api.program import TREE_FAMILIES, KerasProgram, Program
from trainyard_api.queueing import ChildMetadata
from trainyard_api.rerun import KEPT_RUNS, FormerRun
from trainyard_api.roles import STRATEGY_RULES, ResolvedStrategy, Roles, Strategy
from trainyard_api.run_policy import RunPolicy
from trainyard_api.stores import SecretRef, StoreUri
from trainyard_api.tuning import Tuning

KIND, PLURAL, SINGULAR, SHORT = "TrainingJob", "trainingjobs", "trainingjob", "tj"


class ClaimStore(ApiModel):
    """A PersistentVolumeClaim that keeps models."""

    claim_name: Name = Field(description="Name of the PersistentVolumeClaim; it must already exist.")


class Store(ApiModel):
    """Where model versions are kept; exactly one of persistentVolumeClaim and uri."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.uri) != has(self.persistentVolumeClaim)", "set exactly one of uri and persistentVolumeClaim"
            ),
            rule("!has(self.secretRef) || has(self.uri)", "only uri takes a secretRef", ".secretRef"),
        )
    )
    persistent_volume_claim: ClaimStore | None = Field(default=None, description="A claim in the same namespace.")
    uri: StoreUri | None = Field(
        default=None, description="A store reached over the network: s3://bucket/prefix, gs://, abfss:// or hdfs://."
    )
    secret_ref: SecretRef | None = Field(
        default=None,
        description="Credentials for the URI: a Secret with keys such as AWS_ACCESS_KEY_ID (docs/reference/stores.md).",
    )


class SecretKeyRef(ApiModel):
    """One key of a Secret in the same namespace."""

    name: Name = Field(description="Name of the Secret.")
    key: str = Field(pattern=KEY_PATTERN, max_length=253, description="The key to read.")


class Signing(ApiModel):
    """How model versions are signed (docs/how-to/signing.md)."""

    secret_key_ref: SecretKeyRef = Field(
        description="The private key: an elliptic curve key (P-256, P-384 or P-521) as PEM, without a password."
    )


class Output(ApiModel):
    """Where the result goes."""

    store: Store = Field(description="The model store; versions are written to <store>/<modelName>/<version>/.")
    signing: Signing | None = Field(
        default=None, description="Sign each version, as model.sig beside its files; not signed where absent."
    )
    formats: list[Literal["keras"]] | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Further files of each version: keras is model.keras, the network without its preprocessing, for "
        "program.python and the families linear, mlp, cnn and audioClassifier.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    reuse: bool = Field(
        default=False,
        description="Take a version of the store that the same spec of the same name and namespace has trained before, "
        "instead of training again; for restored and moved jobs (docs/how-to/backup.md).",
    )
    keep: Keep = Field(default=Keep(), description="What stays in the store.")


_LEFT_OUT = (
    # Jobs of before have defaults of the API server's there: 10, 32 and 0.001.
    "(!has(self.fit.epochs) || self.fit.epochs == 10) && (!has(self.fit.batchSize) || self.fit.batchSize == 32) && "
    f"self.fit.optimizer.name == '{Fit().optimizer.name}' && "
    f"(!has(self.fit.optimizer.learningRate) || self.fit.optimizer.learningRate == {LEARNING_RATE}) && "
    "![has(self.fit.optimizer.momentum), has(self.fit.optimizer.weightDecay), has(self.fit.optimizer.schedule), "
    "has(self.fit.loss), has(self.fit.jitCompile)].exists(x, x) && self.fit.precision == 'Auto'"
)
"""CEL: the fields of `fit` that mean nothing for trees have their defaults."""

_NOT_OURS = "has(self.program.container) || has(self.program.predict)"
"""CEL: the trainer trains nothing."""

_FIXED = "{} cannot change once the job exists; create a new TrainingJob to train again"


def _by_task(names: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{' or '.join(kinds)} for {task}" for task, kinds in names.items() if kinds)


class TrainingJobSpec(ApiModel):
    """What to train, on what, how, and where the model goes."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.data.label) || self.data.format == 'directory' || has(self.program.predict)",
                "label is missing: name the column to predict (in format directory it is the folders' names)",
                ".data.label",
            ),
            rule(
                "!has(self.program.predict) || !has(self.tuning) && !has(self.privacy) && !has(self.output.signing) && "
                "!self.output.reuse && !has(self.roles.ps) && self.roles.worker.replicas == 1",
                "program.predict does not train, and runs in one pod: remove tuning, privacy, output.signing, "
                "output.reuse and roles.ps, and set roles.worker.replicas to 1",
                ".program.predict",
            ),
            rule(
                f"!has(self.fit.loss) || {_NOT_OURS} || self.fit.loss in (!has(self.program.keras) ? "
                f"{LOSSES}[self.program.python.task] : self.program.keras.family == 'svm' ? {SVM_LOSSES} : "
                f"{LOSSES}[self.program.keras.task])",
                f"a loss has to fit the task: {_by_task(LOSSES)}; {' or '.join(SVM_LOSSES)} for an svm",
                ".fit.loss",
            ),
            rule(
                "!has(self.fit.loss) || self.fit.loss != 'poisson' || !has(self.program.python)",
                "loss poisson takes what a model puts out for the logarithm of a rate, which a model of your own need "
                "not know: use program.keras",
                ".fit.loss",
            ),
            rule(
                f"!has(self.fit.targetTransform) || {_NOT_OURS} || (has(self.program.keras) ? "
                "self.program.keras.task : self.program.python.task) == 'regression'",
                "only numbers have a logarithm: targetTransform is for task regression",
                ".fit.targetTransform",
            ),
            rule(
                f"{_NOT_OURS} || self.fit.metrics.all(m, m in {list(ALWAYS_REPORTED)} || m in "
                f"{METRICS}[has(self.program.keras) ? self.program.keras.task : self.program.python.task])",
                f"a metric has to fit the task: {_by_task(METRICS)}",
                ".fit.metrics",
            ),
            rule(
                f"!has(self.data.hashing) || {_NOT_OURS} || (has(self.program.keras) ? "
                "self.program.keras.family in ['auto', 'linear', 'mlp', 'svm'] : ![has(self.program.python.image), "
                "has(self.program.python.text), has(self.program.python.audio)].exists(x, x))",
                "only tables have hashed columns: those of the families linear, mlp and svm, and of program.python "
                "without image, text or audio",
                ".data.hashing",
            ),
            rule(
                "!has(self.tuning) || !has(self.program.container)",
                "a container program does its own tuning: remove tuning",
                ".tuning",
            ),
            rule(
                f"!has(self.data.validation.folds) || !has(self.tuning) && !has(self.privacy) && !({_NOT_OURS})",
                "folds train several models with the same settings: remove folds, or tuning and privacy, and use "
                "program.keras or program.python",
                ".data.validation.folds",
            ),
            rule(
                "!has(self.data.validation.folds) || self.roles.worker.replicas == 1 && !has(self.roles.ps)",
                "folds are trained one after the other in one pod: set roles.worker.replicas to 1, and remove roles.ps",
                ".data.validation.folds",
            ),
            rule(
                "!has(self.tuning) || self.roles.worker.replicas == 1",
                "tuning runs its trials in one pod: set roles.worker.replicas to 1",
                ".tuning",
            ),
            rule(
                "(self.roles.worker.replicas == 1 && !has(self.roles.ps)) || !has(self.program.keras) || "
                f"!(self.program.keras.family in {list(TREE_FAMILIES)})",
                "trees are grown in one pod: set roles.worker.replicas to 1, and remove roles.ps",
                ".roles",
            ),
            rule(
                "self.roles.worker.gpus == 0 || !has(self.program.keras) || "
                f"!(self.program.keras.family in {list(TREE_FAMILIES)})",
                "trees are grown on CPUs: set roles.worker.gpus to 0",
                ".roles",
            ),
            *(
                rule(
                    f"has(self.{field}) == has(oldSelf.{field}) && "
                    f"(!has(self.{field}) || self.{field} == oldSelf.{field})",
                    _FIXED.format(field),
                    f".{field}",
                )
                for field in ("modelName", "profile", "tuning", "privacy", "metadata", "managedBy")
            ),
            rule(
                "has(self.runPolicy.queueName) == has(oldSelf.runPolicy.queueName) && "
                "(!has(self.runPolicy.queueName) || self.runPolicy.queueName == oldSelf.runPolicy.queueName)",
                _FIXED.format("runPolicy.queueName"),
                ".runPolicy.queueName",
            ),
            *STRATEGY_RULES,
            *PRIVACY_RULES,
            rule(
                "!has(self.fit.timeLimit) || (has(self.program.keras) && self.program.keras.family == 'auto')",
                "timeLimit is what family auto may take; use stopWhen.timeLimit for a single family",
                ".fit.timeLimit",
            ),
            rule(
                f"!has(self.program.keras) || !(self.program.keras.family in {list(TREE_FAMILIES)}) || ({_LEFT_OUT})",
                "trees have no epochs, batches, optimizer, loss or precision: leave those fields of fit out; "
                "numTrees and shrinkage in program.keras are their knobs",
                ".fit",
            ),
            *(
                rule(f"self.{field} == oldSelf.{field}", _FIXED.format(field), f".{field}")
                for field in ("program", "data", "fit", "checkpoint", "strategy", "roles")
            ),
            rule(  # reuse may change, so that it can be set before a backup
                "self.output.store == oldSelf.output.store && "
                "has(self.output.signing) == has(oldSelf.output.signing) && "
                "(!has(self.output.signing) || self.output.signing == oldSelf.output.signing) && "
                "has(self.output.formats) == has(oldSelf.output.formats)",
                _FIXED.format("output"),
                ".output",
            ),
            rule(
                "!has(self.output.formats) || has(self.program.python) || has(self.program.keras) && "
                "self.program.keras.family in ['linear', 'mlp', 'cnn', 'audioClassifier']",
                "only networks have a .keras file: those of program.python and of the families linear, mlp, cnn and "
                "audioClassifier; leave formats out",
                ".output.formats",
            ),
            rule(
                "!self.output.reuse || !has(self.program.container)",
                "a container program decides itself whether it trains again: remove output.reuse",
                ".output.reuse",
            ),
        )
    )
    model_name: Label | None = Field(default=None, description="Name in the store; metadata.name if absent.")
    metadata: ChildMetadata | None = Field(
        default=None, description="Labels and annotations of all that is made for the training: Jobs, pods and others."
    )
    profile: Name | None = Field(
        default=None,
        description="TrainingProfile with defaults and limits of the platform; the default profile where absent.",
    )
    managed_by: str | None = Field(
        default=None,
        max_length=63,
        json_schema_extra=rules(
            rule(
                "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-A-Za-z0-9._~/]+$')",
                "expected a domain and a path, such as kueue.x-k8s.io/multikueue",
            )
        ),
        description="The controller that runs the training, as in Jobs of Kubernetes. The operator leaves a training "
        f"with another value than {CONTROLLER} alone, its status too.",
    )
    program: Program = Field(description="What to train.")
    data: Data = Field(description="The data set.")
    fit: Fit = Field(default=Fit(), description="How to train.")
    tuning: Tuning | None = Field(default=None, description="A search for the best settings; none where absent.")
    privacy: Privacy | None = Field(
        default=None, description="Differentially private training, with a bound on what the weights tell of a row."
    )
    checkpoint: Checkpoint = Field(default=Checkpoint(), description="How often work is saved.")
    strategy: Strategy = Field(
        default="Auto",
        description="How TensorFlow spreads the training; Auto follows from roles. status.strategy has what it is.",
    )
    roles: Roles = Field(default=Roles(), description="The pods.")
    run_policy: RunPolicy = Field(default=RunPolicy(), description="How the training is run.")
    output: Output = Field(description="Where the model goes.")

    @property
    def tries_families(self) -> bool:
        """Whether several families are tried and the best is kept: of family auto, unless a field says how a network
        is trained, or in several pods.
        """
        keras, fit = self.program.keras, self.fit
        any_family = Fit(
            metrics=fit.metrics,
            target_transform=fit.target_transform,
            class_weights=fit.class_weights,
            time_limit=fit.time_limit,
            stop_when=StopWhen(time_limit=fit.stop_when.time_limit),
            seed=fit.seed,
        )
        return (
            keras is not None
            and keras == KerasProgram(task=keras.task)
            and fit == any_family
            and self.tuning is None
            and self.privacy is None
            and self.roles.ps is None
            and self.roles.worker.replicas == 1
        )


class Progress(ApiModel):
    """How far the training is; the same numbers as the trainer's /progress."""

    epoch: int = Field(default=0, description="Epochs finished.")
    epochs: int = Field(default=0, description="Epochs at most.")
    step: int = Field(default=0, description="Steps finished.")
    steps: int = Field(default=0, description="Steps at most.")
    percent: int = Field(
        default=0, description="Share of the steps finished, or of the epochs where no steps are known."
    )
    summary: str = Field(default="", description="Epochs finished of epochs at most, for kubectl get.")
    loss: str | None = Field(default=None, description="Training loss of the running epoch, as a decimal number.")
    metrics: dict[str, str] = Field(default={}, description="Metrics of the last epoch, as decimal numbers.")
    samples_per_second: int | None = Field(default=None, description="Rows trained on each second.")
    eta: str | None = Field(default=None, description="Time left, for example 3m20s.")
    updated: Time | None = Field(default=None, description="When the trainer last answered (RFC 3339).")
    advanced: Time | None = Field(default=None, description="When step or epoch last changed (RFC 3339).")


class Attempt(ApiModel):
    """One run of the training from start, or checkpoint, to end."""

    n: int = Field(description="Number of the attempt, from 0.")
    queued: Time | None = Field(default=None, description="When its Job started to wait for pods (RFC 3339).")
    started: Time | None = Field(default=None, description="When its pod started (RFC 3339).")
    ended: Time | None = Field(default=None, description="When it ended (RFC 3339).")
    outcome: Literal["Running", "Succeeded", "Failed", "Stopped"] = Field(description="How it ended, or Running.")
    reason: str | None = Field(default=None, description="Why it ended, as one CamelCase word.")
    exit_code: int | None = Field(default=None, description="Exit code of the trainer.")
    node: str | None = Field(default=None, description="Node it ran on; of several, that of the worker named by index.")
    index: int | None = Field(
        default=None, description="Of several workers, the one whose end decided how the attempt ended."
    )
    checkpoint: int | None = Field(default=None, description="Steps of the newest checkpoint when it ended.")


class CheckpointStatus(ApiModel):
    """The newest checkpoint."""

    step: int = Field(description="Steps finished when it was written.")
    path: str = Field(description="Where it is, inside the store.")
    time: Time = Field(description="When it was written (RFC 3339).")


class ModelStatus(ApiModel):
    """The trained model version."""

    name: str = Field(description="Name of the model in the store.")
    version: int = Field(description="Version, from 1.")
    uri: str = Field(description="Where it is, as a ModelService's spec.model.uri takes it.")
    digest: str = Field(description="Digest of its manifest trainyard.json, as sha256:<hex>.")
    size_bytes: int = Field(default=0, description="Size of its files together.")
    created: Time | None = Field(
        default=None,
        description="When it was made, where that was before this run: output.reuse took it, or a rerun has made none "
        "yet (RFC 3339).",
    )
    data_fingerprint: str | None = Field(default=None, description="Fingerprint of the data it was trained on.")
    metrics: dict[str, str] = Field(default={}, description="Final metrics, as decimal numbers.")


class PredictionsStatus(ApiModel):
    """What program.predict has written."""

    rows: int = Field(description="Rows with a prediction.")
    bad_rows: int = Field(default=0, description="Rows without one, because they cannot be used.")
    files: int = Field(description="Parquet files.")
    uri: str = Field(description="The folder they are in: on the claim of output.store, or in its bucket.")
    model: str = Field(default="", description="The model version that predicted.")


Phase = Literal["Pending", "Starting", "Running", "Exporting", "Suspended", "Succeeded", "Failed"]


class TrainingJobStatus(ApiModel):
    """What the operator has observed."""

    observed_generation: int = Field(default=0, description="The generation of the spec this status is about.")
    phase: Phase = Field(default="Pending", description="A one-word summary of the conditions.")
    conditions: Conditions = Field(default=[], description="Observations; Succeeded and Failed are final.")
    progress: Progress | None = Field(default=None, description="How far the training is.")
    attempts: list[Attempt] = Field(
        default=[], max_length=256, description="Every run so far; of very many stops from outside, the newest."
    )
    restarts: int = Field(default=0, description="Restarts after failures of the program.")
    disruptions: int = Field(
        default=0, description="Stops from outside in a row, counted anew when a checkpoint got further."
    )
    failure: Failure | None = Field(default=None, description="Why the training failed.")
    last_checkpoint: CheckpointStatus | None = Field(default=None, description="The newest checkpoint.")
    model: ModelStatus | None = Field(default=None, description="The trained model version.")
    predictions: PredictionsStatus | None = Field(default=None, description="What program.predict has written.")
    start_time: Time | None = Field(default=None, description="When the operator started the training (RFC 3339).")
    completion_time: Time | None = Field(default=None, description="When the training ended (RFC 3339).")
    gpus: int = Field(default=0, description="GPUs of all pods together.")
    strategy: ResolvedStrategy | None = Field(default=None, description="How TensorFlow spreads the training.")
    gpu_seconds: GpuSeconds | None = Field(default=None, description="What the training has cost; none without GPUs.")
    run: int = Field(default=0, description="Number of the run, from 0; each rerun begins one.")
    rerun: str | None = Field(default=None, description="The runPolicy.rerun that this run is for.")
    last_schedule_time: Time | None = Field(
        default=None, description="The last time of runPolicy.schedule that has come (RFC 3339)."
    )
    next_schedule_time: Time | None = Field(default=None, description="When the next run begins (RFC 3339).")
    first_attempt: int = Field(default=0, description="Number of the first attempt of this run.")
    runs: list[FormerRun] = Field(default=[], max_length=KEPT_RUNS, description="The runs before, newest last.")
    profile: ProfileStatus | None = Field(
        default=None, description="The profile that the pods of the newest attempt were made by."
    )

    def minimal(self, why: str) -> "TrainingJobStatus":
        """Return the status without anything that a program had a say in, and with `why` in its conditions."""
        return TrainingJobStatus(
            observed_generation=self.observed_generation,
            phase=self.phase,
            conditions=[one.model_copy(update={"message": why}) for one in self.conditions],
            attempts=self.attempts,
            restarts=self.restarts,
            disruptions=self.disruptions,
            model=self.model and self.model.model_copy(update={"metrics": {}}),
            predictions=self.predictions,
            start_time=self.start_time,
            completion_time=self.completion_time,
            gpus=self.gpus,
            strategy=self.strategy,
            gpu_seconds=self.gpu_seconds,
            run=self.run,
            rerun=self.rerun,
            last_schedule_time=self.last_schedule_time,
            next_schedule_time=self.next_schedule_time,
            first_attempt=self.first_attempt,
            runs=self.runs,
            profile=self.profile,
        )


class TrainingJob(ApiModel):
    """A model to train: data, program and settings in; a verified model version out."""

    model_config = ConfigDict(json_schema_extra=rules(NAME_RULE))
    api_version: str = "trainyard.dev/v1alpha1"
    kind: Literal["TrainingJob"] = "TrainingJob"
    metadata: dict[str, Any]
    spec: TrainingJobSpec
    status: TrainingJobStatus | None = None

    @property
    def model_name(self) -> str:
        """The model's name in the store."""
        return self.spec.model_name or str(self.metadata["name"])
