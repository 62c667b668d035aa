"""Looks at the children of a ModelService."""

import asyncio

from trainyard_operator.cluster.kinds import CONFIG_MAP, DEPLOYMENT, POD, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.serving import identity
from trainyard_operator.serving.observed import NOTHING, ObservedService, sort
from trainyard_operator.workloads.identity import is_name


async def observe(cluster: Cluster, parent: Manifest) -> ObservedService:
    """List the children by label: one LIST for each kind."""
    namespace, name = parent["metadata"]["namespace"], parent["metadata"]["name"]
    if not is_name(name):  # no label either, so it has no children
        return NOTHING
    labels = identity.selector(name)
    services, deployments, config_maps, pods = await asyncio.gather(
        *(cluster.select(kind, namespace, labels=labels) for kind in (SERVICE, DEPLOYMENT, CONFIG_MAP, POD))
    )
    return sort(parent, services=services, deployments=deployments, config_maps=config_maps, pods=pods)
