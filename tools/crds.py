"""Writes the files that are generated from the resource models: `python -m tools.crds`.

The models are the one source of the plain manifests, the chart's templates and the field reference.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.reference import reference
from trainyard_api.crd import RESOURCES, crd, object_schema

NOTICE = "Generated from api/trainyard_api by `make crds`; do not edit."


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
    schemas = {resource.model.__name__: object_schema(resource.model) for resource in RESOURCES}
    return {
        **{
            f"manifests/crds/{name}.yaml": f"# {NOTICE}\n{to_yaml(definition)}"
            for name, definition in definitions.items()
        },
        **{
            f"charts/trainyard/templates/crds/{name}.yaml": to_chart_template(definition)
            for name, definition in definitions.items()
        },
        "docs/reference/fields.md": reference(schemas),
    }


def main() -> None:
    """Write the generated files below the folder given with --root."""
    parser = argparse.ArgumentParser(prog="python -m tools.crds", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="root of the repository (default: this folder)")
    root: Path = parser.parse_args().root
    for path, text in generated_files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
