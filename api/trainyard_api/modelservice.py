"""ModelService: one model, served by TensorFlow Serving and kept on its newest good version."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from trainyard_api.checks import Check, KeyReference
from trainyard_api.forms import DIGEST_PATTERN
from trainyard_api.gate import GATE_RULES, GateRule
from trainyard_api.meta import (
    LABEL_KEYS,
    NAME_RULE,
    ApiModel,
    Conditions,
    LabelKey,
    LabelValue,
    Name,
    Time,
    rule,
    rules,
)
from trainyard_api.monitoring import Monitoring
from trainyard_api.pods import Resources
from trainyard_api.profile import ProfileStatus
from trainyard_api.queueing import ChildMetadata
from trainyard_api.rollout import CanaryStatus, RollbackStatus, Rollout
from trainyard_api.scaling import SCALING_RULES, Disruption, Scaling
from trainyard_api.server import Server
from trainyard_api.stores import ModelUri, SecretRef
from trainyard_api.traffic import Traffic

KIND, PLURAL, SINGULAR, SHORT = "ModelService", "modelservices", "modelservice", "ms"


class LabelSelector(ApiModel):
    """Chooses resources by their labels."""

    match_labels: dict[LabelKey, LabelValue] = Field(
        min_length=1,
        max_length=16,
        json_schema_extra=rules(LABEL_KEYS),
        description="Labels a TrainingJob must have.",
    )


class FromTraining(ApiModel):
    """The newest succeeded TrainingJob that matches."""

    selector: LabelSelector = Field(description="Which TrainingJobs, in the same namespace, to take models from.")


class PublicKey(ApiModel):
    """A public key as PEM; exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.configMapKeyRef) != has(self.secretKeyRef)",
                "set exactly one of configMapKeyRef and secretKeyRef",
            )
        )
    )
    config_map_key_ref: KeyReference | None = Field(default=None, description="A key of a ConfigMap.")
    secret_key_ref: KeyReference | None = Field(default=None, description="A key of a Secret.")


class Verify(ApiModel):
    """What a model version must prove before it is served: exactly one of its fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.publicKey) != self.structure", "set publicKey, or structure: true for a model without one")
        )
    )
    public_key: PublicKey | None = Field(
        default=None,
        description="The version must be signed with the private key of this pair, as output.signing of a TrainingJob "
        "does. One that is unsigned, or changed since, is refused.",
    )
    structure: bool = Field(
        default=False,
        description="Take a SavedModel without trainyard.json, which Trainyard has not made: all that its graph and "
        "the index of its variables name must be there. Whether these files are those that were exported stays open.",
    )


class Fetch(ApiModel):
    """The init container that brings the model to its server."""

    resources: Resources = Field(
        default=Resources(),
        description="Its resources. Where absent it asks for little and has limits, as a ResourceQuota may demand.",
    )


class Model(ApiModel):
    """Which model to serve: exactly one of fromTraining and uri."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.fromTraining) != has(self.uri)", "set exactly one of fromTraining and uri"),
            rule(
                "!has(self.secretRef) || !has(self.uri) || !self.uri.startsWith('pvc://')",
                "a PersistentVolumeClaim takes no secretRef",
                ".secretRef",
            ),
            rule(
                "!has(self.verify) || !self.verify.structure || (has(self.uri) && !has(self.digest))",
                "structure is for a uri without a digest: trainings bring a manifest",
                ".verify.structure",
            ),
            rule("!has(self.version) || has(self.fromTraining)", "a uri names its version itself", ".version"),
            rule("!has(self.digest) || has(self.uri)", "a digest goes with a uri; trainings bring one", ".digest"),
        )
    )
    from_training: FromTraining | None = Field(default=None, description="Follow the newest succeeded TrainingJob.")
    version: int | None = Field(
        default=None,
        ge=1,
        le=2**53,
        description="Stay with this version of fromTraining, whatever is trained later; the gate is not asked. "
        "A version that served before is found also after its TrainingJob was deleted.",
    )
    uri: ModelUri | None = Field(
        default=None,
        description="One model version, as in a TrainingJob's status.model.uri: pvc://<claim>/<model>/<version>, "
        "s3://<bucket>/<model>/<version>, or the like with gs, abfs, abfss and hdfs.",
    )
    secret_ref: SecretRef | None = Field(
        default=None,
        description="Credentials for a store that is no claim: a Secret with keys such as AWS_ACCESS_KEY_ID "
        "(docs/reference/stores.md).",
    )
    digest: str | None = Field(
        default=None,
        pattern=DIGEST_PATTERN,
        max_length=71,
        description="SHA-256 of the version's trainyard.json, as in a TrainingJob's status.model.digest. Anything else "
        "at the uri is refused.",
    )
    verify: Verify | None = Field(default=None, description="What a version must prove before it is served.")
    allow_any_operation: bool = Field(
        default=False,
        description="Serve a model whose graph may do more than compute, such as read files, with the rights of the "
        "server. Only for models whose makers you trust.",
    )
    allow_signature_change: bool = Field(
        default=False,
        description="Let a version take over whose signatures do not fit the requests that clients send now.",
    )


class ModelServiceSpec(ApiModel):
    """Which model to serve, and how."""

    model_config = ConfigDict(json_schema_extra=rules(*SCALING_RULES, *GATE_RULES))
    profile: Name | None = Field(
        default=None,
        description="TrainingProfile with defaults and limits of the platform, for revisions to come; the default "
        "profile where absent.",
    )
    model: Model = Field(description="Which model to serve.")
    gate: list[GateRule] = Field(
        default=[],
        max_length=16,
        description="What the metrics of a version of fromTraining must be like. One that does not pass all rules is "
        "not served, and the newest that passes is. What serves already goes on serving.",
    )
    checks: list[Check] = Field(
        default=[],
        max_length=16,
        description="Requests that a pod of each new revision must answer as expected before the revision gets any "
        "traffic.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    replicas: int = Field(
        default=1,
        ge=0,
        le=1000,
        description="Number of serving pods. An autoscaler writes this field: leave it out of manifests with scaling, "
        "else each apply sets the number back until the autoscaler acts again. 0 stops the service in any case.",
    )
    metadata: ChildMetadata | None = Field(
        default=None,
        description="Labels and annotations of all children. Deployments and pods get them with the next revision.",
    )
    scaling: Scaling | None = Field(
        default=None, description="Let the number of replicas follow the load. Absent: nothing writes spec.replicas."
    )
    disruption: Disruption = Field(
        default=Disruption(), description="How many replicas may be taken away at once, when nodes are drained."
    )
    monitoring: Monitoring = Field(
        default=Monitoring(), description="What Prometheus reads of the servers, and when it alerts."
    )
    traffic: Traffic = Field(default=Traffic(), description="Who reaches the servers.")
    history: int = Field(
        default=0,
        ge=0,
        le=10,
        description="Revisions that served before and whose Deployments are kept, with no pods: going back to one "
        "starts its pods again, just as they were.",
    )
    server: Server = Field(default=Server(), description="The TensorFlow Serving container.")
    fetch: Fetch = Field(default=Fetch(), description="The init container that brings the model to its server.")
    rollout: Rollout = Field(default=Rollout(), description="How a new revision takes over from the one that serves.")


class RevisionStatus(ApiModel):
    """One revision: a model version with the server settings it is served with."""

    revision: str = Field(description="Suffix of its Deployment's name.")
    model: str = Field(default="", description="Path of the model in its store, without the version.")
    model_version: int = Field(description="Version of the model.")
    uri: str = Field(description="Where the model version is.")
    digest: str | None = Field(default=None, description="Digest of its manifest, where known.")
    ready: int = Field(default=0, description="Replicas that answer.")
    training_job: str | None = Field(default=None, description="The TrainingJob it comes from.")
    training_job_uid: str | None = Field(default=None, description="The uid of that TrainingJob.")
    trained: Time | None = Field(default=None, description="When that TrainingJob was completed (RFC 3339).")
    selector: str | None = Field(default=None, description="The labels by which that TrainingJob was found.")
    metrics: dict[str, str] | None = Field(
        default=None, description="Final metrics of its training, as decimal numbers."
    )

    def minimal(self) -> "RevisionStatus":
        """Return it without what a program had a say in."""
        return self.model_copy(update={"metrics": None})


class HistoryEntry(ApiModel):
    """What became of one revision, or of a version that never became one."""

    revision: str | None = Field(default=None, description="Suffix of its Deployment's name.")
    model: str = Field(default="", description="Path of the model in its store, without the version.")
    model_version: int = Field(description="Version of the model.")
    uri: str = Field(description="Where the model version is.")
    digest: str | None = Field(default=None, description="Digest of its manifest, where known.")
    training_job: str | None = Field(default=None, description="The TrainingJob it comes from.")
    training_job_uid: str | None = Field(default=None, description="The uid of that TrainingJob.")
    trained: Time | None = Field(default=None, description="When that TrainingJob was completed (RFC 3339).")
    selector: str | None = Field(default=None, description="The labels by which that TrainingJob was found.")
    outcome: Literal["Promoted", "Superseded", "RolledBack", "Refused"] = Field(
        description="Promoted, it has the traffic; Superseded, another has it since; RolledBack, it lost it or never "
        "got it because of the message; Refused, by the gate."
    )
    message: str = Field(default="", description="Why.")
    promoted: Time | None = Field(default=None, description="When it got the traffic, if it did (RFC 3339).")
    time: Time = Field(description="When it came to this outcome (RFC 3339).")


Phase = Literal["Pending", "Progressing", "Ready", "Degraded", "Stopped"]


class ModelServiceStatus(ApiModel):
    """What the operator has observed."""

    observed_generation: int = Field(default=0, description="The generation of the spec this status is about.")
    phase: Phase = Field(default="Pending", description="A one-word summary of the conditions.")
    conditions: Conditions = Field(default=[], description="Ready, Available, Progressing, Degraded, GatePassed.")
    url: str | None = Field(default=None, description="REST address inside the cluster, up to the model's name.")
    grpc: str | None = Field(default=None, description="gRPC address inside the cluster, as host:port.")
    current: RevisionStatus | None = Field(default=None, description="The revision that takes the traffic.")
    next: RevisionStatus | None = Field(default=None, description="The revision that is being brought up.")
    canary: CanaryStatus | None = Field(default=None, description="The revision that is tried on a share of requests.")
    obeyed: str | None = Field(
        default=None, max_length=128, description="The last command in the annotation trainyard.dev/rollout."
    )
    rolled_back: RollbackStatus | None = Field(default=None, description="The wanted revision, where it was sent back.")
    history: list[HistoryEntry] = Field(
        default=[], max_length=64, description="What became of revisions, the newest first; the last 20."
    )
    replicas: int = Field(default=0, description="Serving pods, for the scale subresource.")
    ready: str = Field(default="0/0", description="Replicas that answer of replicas wanted, for kubectl get.")
    selector: str = Field(default="", description="Label selector of the serving pods, for the scale subresource.")
    profile: ProfileStatus | None = Field(
        default=None, description="The profile that the pods of the current revision were made by."
    )

    def minimal(self, why: str) -> "ModelServiceStatus":
        """Return the status without any text from elsewhere, and with `why` in its conditions."""
        conditions = [one.model_copy(update={"message": why}) for one in self.conditions]
        current, following = self.current and self.current.minimal(), self.next and self.next.minimal()
        history = [entry.model_copy(update={"message": ""}) for entry in self.history]
        return self.model_copy(
            update={"conditions": conditions, "current": current, "next": following, "history": history}
        )


class ModelService(ApiModel):
    """A model behind a stable REST and gRPC address."""

    model_config = ConfigDict(json_schema_extra=rules(NAME_RULE))
    api_version: str = "trainyard.dev/v1alpha1"
    kind: Literal["ModelService"] = "ModelService"
    metadata: dict[str, Any]
    spec: ModelServiceSpec
    status: ModelServiceStatus | None = None
