"""Looks at the children of a ModelService."""

import asyncio
from collections.abc import Collection, Iterable

from trainyard_api.names import CANARY_ANNOTATION, REVISION_LABEL
from trainyard_operator.cluster.children import found, names_of
from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.serving import canary, identity
from trainyard_operator.serving.observed import NOTHING, ObservedService, sort
from trainyard_operator.workloads.identity import is_name


async def observe(
    cluster: Cluster, parent: Manifest, *, live: bool = False, expected: Collection[str] = ()
) -> ObservedService:
    """List the children by label.

    Args:
        live: Ask the API server.
        expected: Revisions that have a Deployment, as far as is known. A list that lacks one is not believed: read
            live, that Deployment is asked for by its name.
    """
    namespace, name = parent["metadata"]["namespace"], parent["metadata"]["name"]
    if not is_name(name):  # no label either, so it has no children
        return NOTHING
    labels = identity.selector(name)
    services, deployments, config_maps, pods = await asyncio.gather(
        *(cluster.select(kind, namespace, labels=labels, live=live) for kind in (SERVICE, DEPLOYMENT, CONFIG_MAP, POD))
    )
    if live:
        services = [*services, *await found(cluster, SERVICE, namespace, {name} - names_of(services))]
        names = {identity.revision_name(name, revision) for revision in {*expected, *routed(services)}}
        deployments = [*deployments, *await found(cluster, DEPLOYMENT, namespace, names - names_of(deployments))]
    return sort(parent, services=services, deployments=deployments, config_maps=config_maps, pods=pods)


def routed(services: Iterable[Manifest]) -> set[str]:
    """Return the revisions that Services send requests to."""
    found: set[str] = set()
    for service in services:
        tried = canary.read(service["metadata"].get("annotations", {}).get(CANARY_ANNOTATION))
        found |= {tried[0], tried[1].revision} if tried else set()
        found |= {(service.get("spec", {}).get("selector") or {}).get(REVISION_LABEL, "")}
    return found - {""}
