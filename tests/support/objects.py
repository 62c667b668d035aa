"""Builders of Kubernetes objects, as small as the API server lets them be."""

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.dev/v1/namespaces/default/widgets"


def a_config_map(name: str = "settings", /, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def a_container(name: str = "main", **more: Any) -> Object:
    return {"name": name, "image": "registry/image:1"} | more


def a_pod(name: str = "worker", /, **spec: Any) -> Object:
    pod = {"containers": [a_container()]} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}


def a_deployment(name: str = "web", /, **spec: Any) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [a_container()]}}
    whole = {"selector": {"matchLabels": labels}, "template": template} | spec
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


def a_job(name: str = "train", /, **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [a_container()]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template} | spec}


def a_service(name: str = "web", /, **spec: Any) -> Object:
    whole = {"selector": {"app": name}, "ports": [{"port": 80}]} | spec
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": whole}


def a_definition(schema: Object, /, **version: Any) -> Object:
    """The definition of widgets, whose spec has a schema."""
    whole = {"type": "object", "properties": {"spec": schema, "status": OPEN}}
    versions = [
        {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole},
         "subresources": {"status": {}}} | version
    ]  # fmt: skip
    names = {"kind": "Widget", "plural": "widgets", "shortNames": ["wd"], "categories": ["gadgets"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.dev"},
        "spec": {"group": "example.dev", "scope": "Namespaced", "names": names, "versions": versions},
    }


OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def a_widget(name: str = "one", /, **spec: Any) -> Object:
    return {"apiVersion": "example.dev/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}
