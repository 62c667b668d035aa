"""Where the pods of a training go: what the spec says of nodes, joined with what the user wrote as an affinity."""

from collections.abc import Mapping

from trainyard_api.roles import Worker
from trainyard_operator.cluster.port import Manifest

GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
"""Set on nodes by NVIDIA's GPU feature discovery."""
_NODES, _REQUIRED, _PREFERRED = (
    "nodeAffinity",
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def affinity(worker: Worker, pods: Mapping[str, str]) -> Manifest | None:
    """Return the affinity of the pods, or None where nothing is asked for.

    Args:
        pods: Labels of all pods of the training.
    """
    found: Manifest = dict(worker.template.affinity or {})
    if worker.gpu_product is not None:
        found[_NODES] = _on_product(found.get(_NODES) or {}, worker.gpu_product)
    if worker.topology_key is not None:
        together = dict(found.get("podAffinity") or {})
        term = {"labelSelector": {"matchLabels": dict(pods)}, "topologyKey": worker.topology_key}
        together[_PREFERRED] = [*(together.get(_PREFERRED) or []), {"weight": 100, "podAffinityTerm": term}]
        found["podAffinity"] = together
    return found or None


def _on_product(own: Manifest, product: str) -> Manifest:
    """Add the product to every term of the user's, because a node needs to satisfy one of them only."""
    wanted = {"key": GPU_PRODUCT_LABEL, "operator": "In", "values": [product]}
    terms = (own.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
    joined = [term | {"matchExpressions": [*(term.get("matchExpressions") or []), wanted]} for term in terms]
    return own | {_REQUIRED: {"nodeSelectorTerms": joined}}
