"""The schema's rules between fields, for a spec that no API server has seen.

They are written once, as CEL beside the fields (https://kubernetes.io/docs/reference/using-api/cel): a laptop checks
what a cluster checks.
"""

import functools
import importlib
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from trainyard_api.crd import RESOURCES, crd
from trainyard_api.trainingjob import TrainingJob


def broken_rules(job: TrainingJob) -> Iterator[str]:
    """Yield, for each rule that a spec breaks, the field and what to change. Rules about changes are left out."""
    yield from _broken(job.spec.to_wire(), _schema(), "spec")


@functools.cache  # a search reads one spec after the other
def _schema() -> Mapping[str, Any]:
    resource = next(resource for resource in RESOURCES if resource.model is TrainingJob)
    schema: Mapping[str, Any] = crd(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


@functools.cache
def _cel() -> Any:
    """Return the package that evaluates CEL, without the shell it imports, which takes longer than all of a spec."""
    sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
    return importlib.import_module("cel")


def _broken(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and _cel().evaluate(rule["rule"], {"self": value}) is not True:
            yield f"{path}{rule.get('fieldPath', '')}: {rule['message']}"
    if isinstance(value, dict):
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            yield from _broken(item, inner, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _broken(item, schema.get("items", {}), f"{path}[{index}]")
