"""The CustomResourceDefinitions of both resources, as dictionaries made from the models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from trainyard_api import modelservice, profile, trainingjob
from trainyard_api.meta import GROUP, VERSION
from trainyard_api.schema import Schema, structural_schema


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; a wide one shows with `-o wide` only."""

    name: str
    json_path: str
    description: str
    type: str = "string"
    wide: bool = False

    def to_wire(self) -> dict[str, Any]:
        """Return it as the API server takes it."""
        column = {"name": self.name, "type": self.type, "jsonPath": self.json_path, "description": self.description}
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, slots=True)
class Resource:
    """What a CRD says beyond its schema."""

    model: type[BaseModel]
    plural: str
    singular: str
    short: str
    columns: tuple[Column, ...]
    scale: Mapping[str, str] | None = None
    namespaced: bool = True

    @property
    def has_status(self) -> bool:
        """Whether the operator reports on its objects."""
        return "status" in self.model.model_fields


def _reason(condition: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].reason'


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was created.", "date")

RESOURCES = (
    Resource(
        model=trainingjob.TrainingJob,
        plural=trainingjob.PLURAL,
        singular=trainingjob.SINGULAR,
        short=trainingjob.SHORT,
        columns=(
            Column("State", ".status.phase", "One-word summary."),
            Column("Progress", ".status.progress.percent", "Percent of the steps finished.", "integer"),
            Column("Epoch", ".status.progress.summary", "Epochs finished of epochs at most."),
            Column("Loss", ".status.progress.loss", "Training loss."),
            Column("ETA", ".status.progress.eta", "Time left."),
            Column("Restarts", ".status.restarts", "Restarts after failures of the program.", "integer"),
            Column("GPUs", ".status.gpus", "GPUs of all pods together.", "integer"),
            Column("Reason", _reason("Running"), "Why it is in this state."),
            _AGE,
            Column("Model", ".status.model.name", "Name of the trained model.", wide=True),
            Column("Version", ".status.model.version", "Version of the trained model.", "integer", wide=True),
        ),
    ),
    Resource(
        model=modelservice.ModelService,
        plural=modelservice.PLURAL,
        singular=modelservice.SINGULAR,
        short=modelservice.SHORT,
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether the model answers."),
            Column("Version", ".status.current.modelVersion", "Version that takes the traffic.", "integer"),
            Column("Replicas", ".status.ready", "Replicas that answer of replicas wanted."),
            Column("State", ".status.phase", "One-word summary."),
            Column("Canary", ".status.canary.achieved", "Percent of the requests that the canary gets.", "integer"),
            Column("URL", ".status.url", "REST address inside the cluster."),
            _AGE,
            Column("Next", ".status.next.modelVersion", "Version that is being brought up.", "integer", wide=True),
            Column("gRPC", ".status.grpc", "gRPC address inside the cluster.", wide=True),
            Column("Model", ".status.current.uri", "Where the served model version is.", wide=True),
            Column(
                "Reason", '.status.conditions[?(@.type=="Ready")].reason', "Why it is, or is not, ready.", wide=True
            ),
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
    Resource(
        model=profile.TrainingProfile,
        plural=profile.PLURAL,
        singular=profile.SINGULAR,
        short=profile.SHORT,
        namespaced=False,
        columns=(
            Column("Default", ".spec.default", "Whether resources get it that name none.", "boolean"),
            Column("Max GPUs", ".spec.limits.maxGpus", "Most GPUs of a training.", "integer"),
            _AGE,
            Column("Trainer", ".spec.images.trainer", "Image of training pods.", wide=True),
        ),
    ),
)


def crd(resource: Resource) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a resource."""
    kind = resource.model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "shortNames": [resource.short],
                "categories": ["trainyard"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": object_schema(resource.model)},
                    "subresources": ({"status": {}} if resource.has_status else {})
                    | ({"scale": dict(resource.scale)} if resource.scale else {}),
                    "additionalPrinterColumns": [column.to_wire() for column in resource.columns],
                }
            ],
        },
    }


def object_schema(model: type[BaseModel]) -> Schema:
    """Return the schema without what the API server knows itself: it says what apiVersion and kind are."""
    schema = structural_schema(model)
    # Only with its name in the schema may a rule point there, and not at the whole object, which is printed as <nil>.
    metadata = {"type": "object", "properties": {"name": {"type": "string", "description": "Its name."}}}
    parts = {name: schema["properties"][name] for name in ("spec", "status") if name in schema["properties"]}
    fields = {"metadata": metadata} | parts
    return schema | {"required": ["spec"], "properties": fields}
