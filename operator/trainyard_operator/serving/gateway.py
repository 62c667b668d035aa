"""The way in through a Gateway: an HTTPRoute for REST, a GRPCRoute for gRPC, and a Service for each revision.

The routes carry the weights, exact to the percent. Both revisions are in one object, so that a change of weight is one
write, and a Service of a revision never sends elsewhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainyard_api.names import BACKEND, GRPC_PORT, REST_PORT, ROLE_LABEL
from trainyard_api.traffic import Gateway
from trainyard_operator.cluster.kinds import GRPC_ROUTE, HTTP_ROUTE, SERVICE
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.serving import identity
from trainyard_operator.serving.canary import ALL, Canary, CanaryStep
from trainyard_operator.serving.rollout import Route
from trainyard_operator.workloads.identity import child

_VERBS = ("predict", "classify", "regress")
_PREDICTION, _MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"


@dataclass(frozen=True, slots=True)
class Share:
    """A revision and the percent of the requests that it gets."""

    revision: str
    weight: int


def shares(route: Route | None, steps: Sequence[CanaryStep], answering: Iterable[str]) -> tuple[Share, ...]:
    """Return which revision gets which share of the requests, the stable one first.

    Args:
        answering: The revisions of which pods answer. A canary that does not gets nothing, whatever its step asks for.
    """
    if route is None:
        return ()
    if route.canary is None:
        return (Share(route.revision, ALL),)
    answering = set(answering)
    weight = _weight(route.canary, steps) if route.canary.revision in answering else 0
    if weight and route.revision not in answering:
        weight = ALL
    return (Share(route.revision, ALL - weight), Share(route.canary.revision, weight))


def _weight(canary: Canary, steps: Sequence[CanaryStep]) -> int:
    """Return what the step asks for; behind the last step, while the canary grows to its full size, the last share."""
    if canary.alone:
        return ALL
    if not steps:
        # It has no steps where the old pods make room for it, or where they were taken out of the spec meanwhile.
        return ALL // 2
    if canary.step >= len(steps):
        return steps[-1].weight
    # Before its pods have answered it keeps the share of the step before.
    before = steps[canary.step - 1].weight if canary.step else 0
    return steps[canary.step].weight if canary.reached else before


def achieved_share(owner: Manifest, revisions: Sequence[Share]) -> int | None:
    """Return the percent of the requests that a canary gets through the Gateway; None where there is none."""
    gateway = (owner["spec"].get("traffic") or {}).get("gateway")
    return revisions[-1].weight if gateway and len(revisions) > 1 else None


def backends(owner: Manifest, revisions: Iterable[str]) -> list[Manifest]:
    """Return the Services of revisions that get requests."""
    return [_backend(owner, revision) for revision in revisions]


def _backend(owner: Manifest, revision: str) -> Manifest:
    service = owner["metadata"]["name"]
    labels = identity.labels(service) | {ROLE_LABEL: BACKEND}
    return child(SERVICE, identity.revision_name(service, revision), owner, labels) | {
        "spec": {
            "selector": identity.pod_selector(service, revision),
            "ports": [
                {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"},
                {"name": "http", "port": REST_PORT, "targetPort": "http", "appProtocol": "http"},
            ],
        }
    }


def http_route(owner: Manifest, gateway: Gateway, revisions: Iterable[Share]) -> Manifest:
    """Return the route of REST: the paths of this model, and neither its metrics nor another model of the host."""
    name = owner["metadata"]["name"]
    path = f"/v1/models/{name}"
    # A prefix ends at a slash, so it does not take the verbs that TensorFlow Serving writes after a colon.
    matches = [{"path": {"type": "PathPrefix", "value": path}}]
    matches += [{"path": {"type": "Exact", "value": f"{path}:{verb}"}} for verb in _VERBS]
    return child(HTTP_ROUTE, name, owner, identity.labels(name)) | {
        "spec": {
            "parentRefs": [_parent(gateway, gateway.section_name)],
            "hostnames": [gateway.hostname],
            "rules": [{"matches": matches, "backendRefs": _references(owner, revisions, REST_PORT)}],
        }
    }


def grpc_route(owner: Manifest, gateway: Gateway, hostname: str, revisions: Iterable[Share]) -> Manifest:
    """Return the route of gRPC: predictions and the state of the model, but not the call that reloads models."""
    name = owner["metadata"]["name"]
    methods = [
        {"type": "Exact", "service": _PREDICTION},
        {"type": "Exact", "service": _MODEL, "method": "GetModelStatus"},
    ]
    return child(GRPC_ROUTE, name, owner, identity.labels(name)) | {
        "spec": {
            "parentRefs": [_parent(gateway, gateway.grpc_section_name)],
            "hostnames": [hostname],
            "rules": [
                {
                    "matches": [{"method": method} for method in methods],
                    "backendRefs": _references(owner, revisions, GRPC_PORT),
                }
            ],
        }
    }


def _parent(gateway: Gateway, section: str | None) -> Manifest:
    return {"name": gateway.name, "namespace": gateway.namespace, "sectionName": section}


def _references(owner: Manifest, revisions: Iterable[Share], port: int) -> list[Manifest]:
    service = owner["metadata"]["name"]
    return [
        {
            "kind": "Service",
            "name": identity.revision_name(service, share.revision),
            "port": port,
            "weight": share.weight,
        }
        for share in revisions
    ]
