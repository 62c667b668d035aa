"""Manifests as kubectl reads them: single files, and folders with a kustomization."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

KUBECTL = Path(sys.executable).parent / "kubectl"

Manifest = dict[str, Any]


def kustomized(folder: Path) -> list[Manifest]:
    """Return the objects of `kubectl apply -k FOLDER`, in that order."""
    built = subprocess.run([KUBECTL, "kustomize", folder], check=True, capture_output=True, text=True, timeout=60)
    return list(yaml.safe_load_all(built.stdout))


def documents(file: Path) -> list[Manifest]:
    """Return the objects of `kubectl apply -f FILE`."""
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
