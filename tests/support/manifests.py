"""Small manifests for tests that need a pod, a ConfigMap or a Service, and no more."""

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]

SHELL_IMAGE = "busybox:1.36"
PYTHON_IMAGE = "python:3.11-slim"


def a_shell(script: str, name: str = "main", **fields: Any) -> Object:
    """A container that runs a shell script."""
    return {"name": name, "image": SHELL_IMAGE, "command": ["sh", "-c", script], **fields}


def a_python(code: str, name: str = "main", **fields: Any) -> Object:
    """A container that runs Python code."""
    return {"name": name, "image": PYTHON_IMAGE, "command": ["python3", "-u", "-c", code], **fields}


def a_pod(
    *containers: Object, name: str = "pod", restart: str = "Never", labels: dict[str, str] | None = None, **spec: Any
) -> Object:
    """A pod of these containers. It does not restart and gets little time to end, unless it says otherwise."""
    defaults: Object = {"restartPolicy": restart, "terminationGracePeriodSeconds": 5}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name} | ({"labels": labels} if labels else {}),
        "spec": defaults | {"automountServiceAccountToken": False} | spec | {"containers": list(containers)},
    }


def a_config_map(name: str, **data: str) -> Object:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def a_claim(name: str, storage: str = "100Mi") -> Object:
    """A PersistentVolumeClaim for one node, of the default class."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def a_secret(name: str, **data: str) -> Object:
    """A Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def a_service(name: str, selector: dict[str, str], port: int, target: int | str, **spec: Any) -> Object:
    """A Service with one port."""
    ports = [{"name": "http", "port": port, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": ports, **spec},
    }
