"""Looks at the children of a TrainingJob."""

import asyncio

from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, POD, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.observed import NOTHING, ObservedTraining, sort
from trainyard_operator.workloads.identity import is_name


async def observe(cluster: Cluster, parent: Manifest) -> ObservedTraining:
    """List the children by label: one LIST for each kind."""
    namespace, name = parent["metadata"]["namespace"], parent["metadata"]["name"]
    if not is_name(name):  # no label either, so it has no children
        return NOTHING
    labels = identity.selector(name)
    config_maps, services, jobs = await asyncio.gather(
        *(cluster.select(kind, namespace, labels=labels) for kind in (CONFIG_MAP, SERVICE, JOB))
    )
    # Strictly after the Jobs: what ended a Job we have seen has then happened to the pod we see, last words included.
    pods = await cluster.select(POD, namespace, labels=labels)
    return sort(parent, config_maps=config_maps, services=services, jobs=jobs, pods=pods)
