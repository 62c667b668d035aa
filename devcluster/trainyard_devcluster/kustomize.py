"""The part of kustomize that this repository's own files use, for machines without kubectl.

`resources` and `configMapGenerator.files` without name suffixes; anything else is refused rather than
ignored. Where kubectl is at hand, `kubectl apply -k` reads the same files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
_KNOWN = {"apiVersion", "kind", "resources", "configMapGenerator", "generatorOptions"}


def build(folder: Path) -> list[Manifest]:
    """Return the objects of a kustomization, in the order of its file.

    Raises:
        ValueError: the kustomization uses a field that is not supported here.
        FileNotFoundError: it names a file that does not exist.
    """
    file = folder / "kustomization.yaml"
    kustomization = yaml.safe_load(file.read_text())
    if unknown := sorted(set(kustomization) - _KNOWN):
        raise ValueError(f"{file}: {', '.join(unknown)} not supported here; use kubectl apply -k")
    generators = kustomization.get("configMapGenerator", [])
    if generators and not kustomization.get("generatorOptions", {}).get("disableNameSuffixHash"):
        raise ValueError(f"{file}: generatorOptions.disableNameSuffixHash must be true")
    manifests = [_config_map(folder, generator) for generator in generators]
    for resource in kustomization.get("resources", []):
        path = folder / resource
        manifests += build(path) if path.is_dir() else load(path)
    return manifests


def load(file: Path) -> list[Manifest]:
    """Return the objects in a YAML file."""
    return [manifest for manifest in yaml.safe_load_all(file.read_text()) if manifest]


def _config_map(folder: Path, generator: Manifest) -> Manifest:
    contents = {Path(name).name: (folder / name).read_text() for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": contents}
