"""`--set fit.epochs=50`: one field of a spec, by its path."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic.alias_generators import to_camel

from trainyard.cluster import Manifest
from trainyard.errors import Usage


def with_settings(manifest: Mapping[str, Any], settings: Iterable[str]) -> Manifest:
    """Return a manifest with fields of its spec set; values are YAML, and `spec.` in front may be left out.

    >>> with_settings({"spec": {"fit": {"epochs": 10}}}, ["fit.epochs=50", "fit.optimizer.name=sgd"])
    {'spec': {'fit': {'epochs': 50, 'optimizer': {'name': 'sgd'}}}}

    Raises:
        Usage: a setting is not of the form path=value, or its path leads through a value.
    """
    changed: Manifest = copy.deepcopy(dict(manifest))
    for setting in settings:
        path, equals, text = setting.partition("=")
        names = [to_camel(name) if "_" in name else name for name in path.strip().removeprefix("spec.").split(".")]
        if not equals or not all(names):
            raise Usage(f"--set expects path=value, such as fit.epochs=50, got {setting!r}")
        _put(changed.setdefault("spec", {}), names, _value(setting, text), setting)
    return changed


def _put(fields: Manifest, names: list[str], value: Any, setting: str) -> None:
    *parents, last = names
    for name in parents:
        fields = fields.setdefault(name, {})
        if not isinstance(fields, dict):
            raise Usage(f"--set {setting}: {name} holds a value, and no fields")
    fields[last] = value


def _value(setting: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Usage(f"--set {setting}: the value is not YAML; put it in quotes") from error


def with_fields(manifest: Mapping[str, Any], fields: Mapping[str, Any]) -> Manifest:
    """Return a manifest with fields of its spec replaced by others, mappings field by field.

    >>> with_fields({"spec": {"fit": {"epochs": 10, "seed": 1}}}, {"fit": {"epochs": 50}})
    {'spec': {'fit': {'epochs': 50, 'seed': 1}}}
    """
    changed: Manifest = copy.deepcopy(dict(manifest))
    changed["spec"] = _merged(changed.get("spec") or {}, fields)
    return changed


def _merged(fields: Mapping[str, Any], others: Mapping[str, Any]) -> Manifest:
    merged = dict(fields)
    for written, value in others.items():
        name = to_camel(written) if "_" in written else written
        inner = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if inner else value
    return merged
