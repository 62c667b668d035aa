"""A namespace of a benchmark's own, on a cluster that gets Trainyard's kinds."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from kubernetes import client

from support.kube_api import Api

CRDS = Path(__file__).parents[2] / "manifests" / "crds"
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}


@contextmanager
def own_namespace(connected: client.ApiClient, prefix: str) -> Iterator[Api]:
    """Apply the CRDs and make a namespace, which is removed afterwards."""
    name = f"{prefix}-{secrets.token_hex(3)}"
    api, namespace = Api(connected, name), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for file in sorted(CRDS.glob("*.yaml")):
        definitions = [one for one in yaml.safe_load_all(file.read_text()) if "Definition" in one["kind"]]
        if definitions:
            api.apply(*definitions)
    api.create(namespace)
    try:
        # Until it has its account no pod can be made in it.
        api.wait_for(ACCOUNT, bool, description="the namespace has its account")
        yield api
    finally:
        api.delete(namespace)
