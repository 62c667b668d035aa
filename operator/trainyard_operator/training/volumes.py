"""What the pod that trains sees: its spec, data, store, and the Secrets that open them, each as files."""

from contextlib import suppress
from dataclasses import dataclass

from trainyard_api.data import DataSource
from trainyard_api.model_uris import VersionUri
from trainyard_api.names import (
    CODE_MOUNT,
    DATA_MOUNT,
    DATA_SECRET_DIR_ENV,
    DATA_SECRET_MOUNT,
    PREDICT_MODEL_MOUNT,
    SIGNING_KEY_ENV,
    SIGNING_KEY_FILE,
    SIGNING_MOUNT,
    SPEC_MOUNT,
    STORE_MOUNT,
    STORE_SECRET_DIR_ENV,
    STORE_SECRET_MOUNT,
)
from trainyard_api.roles import RoleName
from trainyard_api.trainingjob import TrainingJob
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.training import identity

_OWN_GROUP_READS = 0o440
"""Nobody else does: fsGroup makes the program's group that of the files."""


@dataclass(frozen=True, slots=True)
class MountedSecret:
    """A Secret that the program sees as files, each named like its key; or one `key` of it as the file `file`.

    The variable says where.
    """

    name: str
    volume: str
    mount: str
    variable: str
    key: str | None = None
    file: str | None = None

    @property
    def path(self) -> str:
        """The folder, or the file."""
        return "/".join(filter(None, (self.mount, self.file)))

    def to_volume(self) -> Manifest:
        items = {"items": [{"key": self.key, "path": self.file}]} if self.key else {}
        return {"name": self.volume, "secret": {"secretName": self.name, "defaultMode": _OWN_GROUP_READS} | items}


def secrets(job: TrainingJob) -> list[MountedSecret]:
    """Return the Secrets that a TrainingJob names."""
    data, output = job.spec.data.source.secret_ref, job.spec.output
    found = []
    if data:
        found.append(MountedSecret(data.name, "data-secret", DATA_SECRET_MOUNT, DATA_SECRET_DIR_ENV))
    if store := output.store.secret_ref:
        found.append(MountedSecret(store.name, "store-secret", STORE_SECRET_MOUNT, STORE_SECRET_DIR_ENV))
    if output.signing:
        ref = output.signing.secret_key_ref
        found.append(MountedSecret(ref.name, "signing", SIGNING_MOUNT, SIGNING_KEY_ENV, ref.key, SIGNING_KEY_FILE))
    return found


def claim_names(job: TrainingJob) -> list[str]:
    """Return the claims that every pod mounts."""
    data = job.spec.data.source.persistent_volume_claim
    return sorted({name for name in (_claim(job), data and data.claim_name, _model_claim(job)) if name})


def predict_model_path(job: TrainingJob) -> str | None:
    """Return where the version that predicts is inside the pod, where it is on a claim."""
    version = _predicting(job)
    if version is None or version.claim is None:
        return None
    mount = STORE_MOUNT if version.claim == _claim(job) else PREDICT_MODEL_MOUNT
    return f"{mount}/{version.model}/{version.folder}"


def data_path(source: DataSource) -> str | None:
    """Return where the data is inside the pod, or None where the program finds it itself, by its URI."""
    if source.config_map is not None:
        return "/".join(filter(None, (DATA_MOUNT, source.config_map.key)))
    if source.persistent_volume_claim is not None:
        return "/".join(filter(None, (DATA_MOUNT, source.persistent_volume_claim.path.rstrip("/"))))
    return None


def sees_data(job: TrainingJob, role: RoleName) -> bool:
    """Return whether the pods of a role get data and store: of our trainer with parameter servers, only the chief."""
    return role == job.spec.roles.lead or job.spec.program.container is not None


def volumes(job: TrainingJob, role: RoleName = "worker") -> list[Manifest]:
    sees = sees_data(job, role)
    source, claim = job.spec.data.source, _claim(job) if sees else None
    found: list[Manifest] = [
        {"name": "spec", "configMap": {"name": identity.spec_name(job.metadata["name"])}},
        # What goes to a store that is no volume is made on the pod's own disk.
        {"name": "store"} | ({"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}),
        {"name": "tmp", "emptyDir": {}},
    ]
    if has_shared_memory(job):
        size = job.spec.roles.of(role).shared_memory
        found.append({"name": "shm", "emptyDir": {"medium": "Memory"} | ({"sizeLimit": size} if size else {})})
    if sees and source.config_map is not None:
        key = source.config_map.key
        # The rows to validate with are another key, beside that of the rows to train on.
        items = {"items": [{"key": key, "path": key}]} if key and not job.spec.data.validation.uri else {}
        found.append({"name": "data", "configMap": {"name": source.config_map.name} | items})
    elif sees and source.persistent_volume_claim is not None and source.persistent_volume_claim.claim_name != claim:
        name = source.persistent_volume_claim.claim_name
        found.append({"name": "data", "persistentVolumeClaim": {"claimName": name, "readOnly": True}})
    if (model := _model_claim(job)) and model != claim:
        found.append({"name": "model", "persistentVolumeClaim": {"claimName": model, "readOnly": True}})
    if code := code_config_map(job):
        found.append({"name": "code", "configMap": {"name": code}})
    return found + [secret.to_volume() for secret in secrets(job) if sees]


def mounts(job: TrainingJob, role: RoleName = "worker") -> list[Manifest]:
    sees, source = sees_data(job, role), job.spec.data.source
    found: list[Manifest] = [
        {"name": "spec", "mountPath": SPEC_MOUNT, "readOnly": True},
        {"name": "store", "mountPath": STORE_MOUNT},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    if has_shared_memory(job):
        found.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108
    if sees and source.uri is None:
        # Data in the store's own claim: one volume, mounted twice.
        same = source.persistent_volume_claim is not None and source.persistent_volume_claim.claim_name == _claim(job)
        found.append({"name": "store" if same else "data", "mountPath": DATA_MOUNT, "readOnly": True})
    if (model := _model_claim(job)) and model != _claim(job):
        found.append({"name": "model", "mountPath": PREDICT_MODEL_MOUNT, "readOnly": True})
    if code_config_map(job):
        found.append({"name": "code", "mountPath": CODE_MOUNT, "readOnly": True})
    seen = secrets(job) if sees else []
    return found + [{"name": secret.volume, "mountPath": secret.mount, "readOnly": True} for secret in seen]


def has_shared_memory(job: TrainingJob) -> bool:
    """Return whether the pods get a /dev/shm of their own: a container's is 64 MB, too little for NCCL."""
    worker = job.spec.roles.worker
    devices = worker.gpus > 0 or bool(worker.template.resource_claims)
    return worker.shared_memory is not None or devices or job.spec.roles.are_several


def code_config_map(job: TrainingJob) -> str | None:
    """Return the name of the ConfigMap that holds the program's modules, if one does."""
    source = job.spec.program.python.source if job.spec.program.python else None
    return source.config_map.name if source and source.config_map else None


def _claim(job: TrainingJob) -> str | None:
    volume = job.spec.output.store.persistent_volume_claim
    return volume.claim_name if volume else None


def _model_claim(job: TrainingJob) -> str | None:
    version = _predicting(job)
    return version.claim if version else None


def _predicting(job: TrainingJob) -> VersionUri | None:
    """Return the version that predicts, where the spec has its address; the trainer says what is wrong with one."""
    predict = job.spec.program.predict
    with suppress(ValueError):
        return VersionUri.parse(predict.model.uri) if predict and predict.model.uri else None
    return None
