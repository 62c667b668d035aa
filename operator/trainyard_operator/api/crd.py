"""Generates the CustomResourceDefinitions and what is derived from them: `python -m trainyard_operator.api.crd`.

One source, the models, and three results that are committed and never edited: plain manifests, the chart's templates
and the field reference.
"""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from trainyard_operator.api import modelservice, trainingjob
from trainyard_operator.api.meta import GROUP, VERSION
from trainyard_operator.api.reference import reference
from trainyard_operator.api.schema import Schema, structural_schema

NOTICE = "Generated from operator/trainyard_operator/api by `make crds`; do not edit."


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
            _AGE,
            Column("Model", ".status.model.name", "Name of the trained model.", wide=True),
            Column("Version", ".status.model.version", "Version of the trained model.", "integer", wide=True),
            Column("Reason", _reason("Running"), "Why it is in this state.", wide=True),
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
            "scope": "Namespaced",
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
                    "schema": {"openAPIV3Schema": _object_schema(resource.model)},
                    "subresources": {"status": {}} | ({"scale": dict(resource.scale)} if resource.scale else {}),
                    "additionalPrinterColumns": [column.to_wire() for column in resource.columns],
                }
            ],
        },
    }


def _object_schema(model: type[BaseModel]) -> Schema:
    """Return the schema without what the API server knows itself: it says what apiVersion, kind and metadata are."""
    schema = structural_schema(model)
    fields = {name: schema["properties"][name] for name in ("spec", "status")}
    return schema | {"required": ["spec"], "properties": fields}


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out in full, where PyYAML would put anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Say that nothing is to be written as an alias."""
        return True


# YAML 1.1 has more booleans than PyYAML writes in quotes; kubectl reads a bare `n` as false.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML in the order of its keys."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def to_chart_template(definition: Mapping[str, Any]) -> str:
    """Return a CRD as a template of the chart, which can leave it out and keeps it when the release is removed."""
    head = to_yaml({key: definition[key] for key in ("apiVersion", "kind")})
    return (
        f"{{{{- /* {NOTICE} */ -}}}}\n"
        "{{- if .Values.crds.enabled }}\n"
        f"{head}"
        "metadata:\n"
        f"  name: {definition['metadata']['name']}\n"
        "  labels:\n"
        '    {{- include "trainyard.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n"
        "  annotations:\n"
        "    helm.sh/resource-policy: keep\n"
        "  {{- end }}\n"
        f"{to_yaml({'spec': definition['spec']})}"
        "{{- end }}\n"
    )


def generated_files() -> dict[str, str]:
    """Return the generated files: their text by their path from the root of the repository."""
    definitions = {resource.plural: crd(resource) for resource in RESOURCES}
    schemas = {resource.model.__name__: _object_schema(resource.model) for resource in RESOURCES}
    return {
        **{f"manifests/crds/{name}.yaml": f"# {NOTICE}\n{to_yaml(each)}" for name, each in definitions.items()},
        **{
            f"charts/trainyard/templates/crds/{name}.yaml": to_chart_template(each)
            for name, each in definitions.items()
        },
        "docs/reference.md": reference(schemas),
    }


def main() -> None:
    """Write the generated files below the folder given with --root."""
    parser = argparse.ArgumentParser(prog="python -m trainyard_operator.api.crd", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="root of the repository (default: this folder)")
    root: Path = parser.parse_args().root
    for path, text in generated_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
