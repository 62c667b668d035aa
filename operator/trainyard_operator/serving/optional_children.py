"""The children that a ModelService has only where its spec asks for them, and that no pod depends on.

None of them keeps a model from being served: what cannot be made is told, and everything else goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from trainyard_api.modelservice import ModelServiceSpec, ModelServiceStatus
from trainyard_api.names import BACKEND, ROLE_LABEL
from trainyard_api.traffic import Gateway
from trainyard_operator.cluster.children import controlled_by, ensure
from trainyard_operator.cluster.errors import Forbidden, NotFound
from trainyard_operator.cluster.kinds import (
    GRPC_ROUTE,
    HORIZONTAL_POD_AUTOSCALER,
    HTTP_ROUTE,
    MODEL_SERVICE,
    NETWORK_POLICY,
    POD_DISRUPTION_BUDGET,
    POD_MONITOR,
    PROMETHEUS_RULE,
    SCALED_OBJECT,
    SERVICE,
    Kind,
)
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.serving import disruption, identity
from trainyard_operator.serving.conditions import is_incomplete
from trainyard_operator.serving.gateway import Share, backends, grpc_route, http_route
from trainyard_operator.serving.monitoring import pod_monitor, prometheus_rule
from trainyard_operator.serving.network import network_policy
from trainyard_operator.serving.scaling import autoscaler, replicas_before_autoscaler, scaled_object
from trainyard_operator.serving.spec import parse
from trainyard_operator.workloads.blockers import REFUSALS, Blocker, of_refusal, spec_errors

KIND_MISSING = "KindMissing"


@dataclass(frozen=True, slots=True)
class OptionalKind:
    """A kind of optional children.

    Attributes:
        asked_by: The field that asks for it.
        comes_with: What brings the kind to a cluster; empty where every cluster has it.
        role: The role that tells optional children from others of their kind; empty where there are no others.
        does: Whether they are made here, removed here, or both. What others point to is made before them, and removed
            after them.
    """

    kind: Kind
    asked_by: str
    comes_with: str = ""
    role: str = ""
    does: Literal["both", "make", "remove"] = "both"


_GATEWAY, _GATEWAY_API = "spec.traffic.gateway", "the Gateway API and one of its implementations"
_PROMETHEUS_OPERATOR = "the Prometheus Operator"
OPTIONAL_KINDS = (
    OptionalKind(HORIZONTAL_POD_AUTOSCALER, "spec.scaling"),
    # After the autoscaler, which KEDA takes for a rival as long as it is there.
    OptionalKind(SCALED_OBJECT, "spec.scaling.keda", "KEDA"),
    OptionalKind(POD_DISRUPTION_BUDGET, "spec.disruption"),
    OptionalKind(NETWORK_POLICY, "spec.traffic.networkPolicy"),
    OptionalKind(POD_MONITOR, "spec.monitoring.podMonitor", _PROMETHEUS_OPERATOR),
    OptionalKind(PROMETHEUS_RULE, "spec.monitoring.prometheusRule", _PROMETHEUS_OPERATOR),
    OptionalKind(SERVICE, _GATEWAY, role=BACKEND, does="make"),
    OptionalKind(HTTP_ROUTE, _GATEWAY, _GATEWAY_API),
    OptionalKind(GRPC_ROUTE, f"{_GATEWAY}.grpcHostname", _GATEWAY_API),
    OptionalKind(SERVICE, _GATEWAY, role=BACKEND, does="remove"),
)


@dataclass(frozen=True, slots=True)
class Serving:
    """What of a service's state its optional children depend on.

    Attributes:
        revision: The revision that has the traffic; empty where none has.
        replicas: How many pods it shall have.
        operator_namespace: Where the operator runs, where it knows.
        shares: Which revision gets which share of the requests.
        answering: The revisions that answer, also those that have just lost their share.
    """

    revision: str
    replicas: int
    operator_namespace: str | None = None
    shares: tuple[Share, ...] = ()
    answering: frozenset[str] = frozenset()


def wanted(owner: Manifest, spec: ModelServiceSpec, serving: Serving) -> Sequence[tuple[Kind, Manifest]]:
    """Return the optional children that a spec asks for."""
    scaling, monitoring, traffic = spec.scaling, spec.monitoring, spec.traffic
    budget = disruption.budget(owner, spec.disruption, revision=serving.revision, replicas=serving.replicas)
    children: list[tuple[Kind, Manifest]] = [(POD_DISRUPTION_BUDGET, budget)] if budget else []
    if scaling and scaling.keda:
        children.append((SCALED_OBJECT, scaled_object(owner, scaling, scaling.keda)))
    elif scaling:
        children.append((HORIZONTAL_POD_AUTOSCALER, autoscaler(owner, scaling)))
    if traffic.network_policy:
        policy = network_policy(owner, traffic, operator_namespace=serving.operator_namespace)
        children.append((NETWORK_POLICY, policy))
    if traffic.gateway and serving.shares:
        children += _routed(owner, traffic.gateway, serving)
    if monitoring.pod_monitor:
        children.append((POD_MONITOR, pod_monitor(owner, monitoring)))
    if monitoring.prometheus_rule:
        children.append((PROMETHEUS_RULE, prometheus_rule(owner, monitoring)))
    return [(kind, identity.with_metadata(child, spec.metadata)) for kind, child in children]


def _routed(owner: Manifest, gateway: Gateway, serving: Serving) -> Iterator[tuple[Kind, Manifest]]:
    shares = serving.shares
    # A Gateway may hear of a route after it has heard of the Services that the route no longer names.
    revisions = {*(share.revision for share in shares), *serving.answering}
    yield from ((SERVICE, backend) for backend in backends(owner, sorted(revisions)))
    yield HTTP_ROUTE, http_route(owner, gateway, shares)
    if gateway.grpc_hostname:
        yield GRPC_ROUTE, grpc_route(owner, gateway, gateway.grpc_hostname, shares)


async def bring_optional_children(cluster: Cluster, owner: Manifest, serving: Serving) -> Blocker | None:
    """Make, change and remove the optional children of a ModelService; return what could not be made."""
    service = parse(owner)
    if isinstance(service, Blocker):  # which is told already
        return None
    try:
        with spec_errors():
            children = wanted(owner, service.spec, serving)
    except REFUSALS as error:
        return of_refusal(error, "the service")
    problems = [await _bring(cluster, owner, optional, children) for optional in OPTIONAL_KINDS]
    return _together([problem for problem in problems if problem])


async def _bring(
    cluster: Cluster, owner: Manifest, optional: OptionalKind, children: Iterable[tuple[Kind, Manifest]]
) -> Blocker | None:
    kind, metadata = optional.kind, owner["metadata"]
    mine = {child["metadata"]["name"]: child for of, child in children if of == kind}
    try:
        labels = identity.selector(metadata["name"]) | ({ROLE_LABEL: optional.role} if optional.role else {})
        there = controlled_by(owner, await cluster.select(kind, metadata["namespace"], labels=labels))
        for name, child in mine.items() if optional.does != "remove" else ():
            await ensure(cluster, kind, child, there.get(name))
        for name in there.keys() - mine.keys() if optional.does != "make" else ():
            await _remove(cluster, kind, there[name])
    except NotFound:
        return _missing(optional) if mine else None
    except REFUSALS as error:
        # An operator with fewer rights, from before this version, serves those who ask for nothing of it.
        return None if isinstance(error, Forbidden) and not mine else of_refusal(error, optional.asked_by)
    return None


async def _remove(cluster: Cluster, kind: Kind, child: Manifest) -> None:
    metadata = child["metadata"]
    if "deletionTimestamp" not in metadata:
        await cluster.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])


async def hand_over(cluster: Cluster, owner: Manifest, before: ModelServiceStatus, *, running: int) -> bool:
    """Let an autoscaler that is about to be made begin with what runs; return whether that took a write.

    Only where nothing writes the number of replicas yet, and nothing is known to keep our autoscaler away: otherwise
    the number is somebody's, and nobody else's to change.

    Args:
        running: The replicas of the revision that has the traffic.
    """
    if not owner["spec"].get("scaling"):  # the usual case, which is not worth a parse
        return False
    service = parse(owner)
    if isinstance(service, Blocker) or is_incomplete(before):
        return False
    replicas = replicas_before_autoscaler(service.spec, running)
    if replicas == service.spec.replicas or not await _is_free(cluster, owner):
        return False
    await cluster.scale(MODEL_SERVICE, owner, replicas)
    return True


async def _is_free(cluster: Cluster, owner: Manifest) -> bool:
    """Return whether there is no autoscaler with the name of ours, of either kind."""
    metadata = owner["metadata"]
    for kind in (HORIZONTAL_POD_AUTOSCALER, SCALED_OBJECT):
        try:
            await cluster.get(kind, metadata["namespace"], metadata["name"])
        except NotFound:
            continue
        except Forbidden:
            pass
        return False
    return True


def _missing(optional: OptionalKind) -> Blocker:
    kind = optional.kind
    return Blocker(
        KIND_MISSING,
        f"{optional.asked_by} needs the kind {kind.name} ({kind.api_version}), which this cluster does not have: "
        f"install {optional.comes_with or 'a newer Kubernetes'}, or take the field out",
    )


def _together(problems: Sequence[Blocker]) -> Blocker | None:
    if not problems:
        return None
    return Blocker(problems[0].reason, "; ".join(problem.message for problem in problems))
