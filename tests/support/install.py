"""What the two ways of installing produce: kubectl's kustomizations, and the chart as a real Helm renders it."""

from collections.abc import Iterable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from support import kubectl

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/trainyard"
NAMESPACE = "trainyard-system"

Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    """Return the objects of `kubectl apply -k manifests/crds` and `kubectl apply -k manifests`."""
    return [*kustomized("manifests/crds"), *kustomized("manifests")]


def kustomized(folder: str) -> list[Manifest]:
    """Return the objects of `kubectl apply -k FOLDER`."""
    return deepcopy(_kustomized(folder))


@cache
def _kustomized(folder: str) -> list[Manifest]:
    return list(yaml.safe_load_all(kubectl.kubectl("kustomize", str(ROOT / folder), env={})))


def rendered(values: dict[str, Any] | None = None, *, name: str = "trainyard") -> list[Manifest]:
    """Return the objects that `helm install NAME charts/trainyard` creates."""
    return [each for each in _templates(values, name) if not _is_hook(each)]


def hooks(values: dict[str, Any] | None = None) -> list[Manifest]:
    """Return the objects that `helm test` creates."""
    return [each for each in _templates(values, "trainyard") if _is_hook(each)]


def _is_hook(manifest: Manifest) -> bool:
    return "helm.sh/hook" in manifest["metadata"].get("annotations", {})


def _templates(values: dict[str, Any] | None, name: str) -> list[Manifest]:
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values, name=name, namespace=NAMESPACE)
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def by_name(objects: Iterable[Manifest]) -> dict[tuple[str, str], Manifest]:
    """Return the objects by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}
