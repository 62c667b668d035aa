"""What Argo CD makes of the resources: the chart's Lua, run by a Lua interpreter."""

import json
import shutil
import subprocess
from functools import cache

import pytest
import yaml

from support.install import ROOT, rendered
from support.pages import blocks

LUA = shutil.which("lua5.4") or shutil.which("lua")
# What Argo CD gives a health check: the object as `obj`.
RUN = "obj = {obj}\nlocal health = (function()\n{script}\nend)()\nprint(health.status)\nprint(health.message)\n"


def lua(value):
    """Write JSON as Lua does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(key)}] = {lua(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(lua, value)) + "}"
    return json.dumps(value)


@cache
def checks():
    values = yaml.safe_load(blocks(ROOT / "docs/how-to/gitops.md", "yaml")[0])
    (config_map,) = [each for each in rendered(values) if each["kind"] == "ConfigMap"]
    return config_map["data"]


def health(kind, manifest):
    script = checks()[f"resource.customizations.health.trainyard.dev_{kind}"]
    text = RUN.replace("{obj}", lua(manifest)).replace("{script}", script)
    told = subprocess.run([LUA, "-"], input=text, capture_output=True, text=True, timeout=30, check=True)
    status, message = told.stdout.splitlines()
    return status, message


def conditions(*held, **messages):
    names = ["Ready", "Running", "Failed", "Stalled", "Reconciling", "Degraded"]
    return [
        {"type": name, "status": str(name in held), "message": messages.get(name, "see condition Ready")}
        for name in names
    ]


@pytest.mark.skipif(LUA is None, reason="needs a Lua interpreter: apt-get install lua5.4")
@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        pytest.param("TrainingJob", None, "Progressing", id="new training"),
        pytest.param("TrainingJob", {"phase": "Running", "conditions": conditions()}, "Progressing", id="runs"),
        pytest.param("TrainingJob", {"phase": "Succeeded", "observedGeneration": 1}, "Progressing", id="older spec"),
        pytest.param("TrainingJob", {"phase": "Succeeded", "conditions": conditions()}, "Healthy", id="succeeded"),
        pytest.param(
            "TrainingJob", {"phase": "Failed", "conditions": conditions("Failed", Failed="why")}, "Degraded why",
            id="failed",
        ),
        pytest.param(
            "TrainingJob", {"phase": "Pending", "conditions": conditions("Stalled", Stalled="why")}, "Degraded why",
            id="stalled training",
        ),
        pytest.param("TrainingJob", {"phase": "Suspended", "conditions": []}, "Suspended", id="suspended"),
        pytest.param("ModelService", None, "Progressing", id="new service"),
        pytest.param(
            "ModelService", {"phase": "Ready", "conditions": conditions("Ready", Ready="2 answer")}, "Healthy 2 answer",
            id="ready",
        ),
        pytest.param(
            "ModelService", {"phase": "Progressing", "conditions": conditions(Ready="1 of 2")}, "Progressing 1 of 2",
            id="rolls out",
        ),
        pytest.param(
            "ModelService", {"phase": "Degraded", "conditions": conditions("Stalled", "Degraded", Ready="why")},
            "Degraded why", id="stalled service",
        ),
        pytest.param(
            "ModelService", {"phase": "Degraded", "conditions": conditions("Degraded", Ready="full")},
            "Progressing full", id="what may pass",
        ),
        pytest.param("ModelService", {"phase": "Stopped", "conditions": conditions(Ready="0")}, "Suspended 0", id="0"),
        pytest.param("TrainingProfile", None, "Healthy", id="profile"),
    ],
)  # fmt: skip
def test_each_state_has_its_health(kind, status, expected):
    manifest = {"metadata": {"generation": 2}}
    if status is not None:
        manifest["status"] = {"observedGeneration": 2} | status
    assert " ".join(health(kind, manifest)).startswith(expected)
