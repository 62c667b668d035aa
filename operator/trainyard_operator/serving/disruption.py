"""How many replicas may be taken away at once: a PodDisruptionBudget over the revision that has the traffic.

It must never block a drain for good. So a single replica has none, and a revision that is being brought up is no part
of it: pods that never get ready would count as disrupted already. Pods that are not ready may always be evicted.
"""

from trainyard_api.scaling import Disruption
from trainyard_operator.cluster.kinds import POD_DISRUPTION_BUDGET
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.workloads.identity import child


def budget(owner: Manifest, disruption: Disruption, *, revision: str, replicas: int) -> Manifest | None:
    """Return the budget of a ModelService; None where there is nothing to protect."""
    name = owner["metadata"]["name"]
    if replicas < 2 or not revision:
        return None
    return child(POD_DISRUPTION_BUDGET, name, owner, identity.labels(name)) | {
        "spec": {
            "maxUnavailable": disruption.max_unavailable,
            "selector": {"matchLabels": identity.pod_selector(name, revision)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
    }
