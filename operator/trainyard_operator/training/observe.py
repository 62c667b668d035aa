"""Looks at the children of a TrainingJob."""

import asyncio
from collections.abc import Collection

from trainyard_operator.cluster.children import found, names_of
from trainyard_operator.cluster.kinds import CONFIG_MAP, JOB, POD, SERVICE
from trainyard_operator.cluster.port import Cluster, Manifest
from trainyard_operator.training import identity
from trainyard_operator.training.observed import NOTHING, ObservedTraining, sort
from trainyard_operator.workloads.identity import is_name


async def observe(
    cluster: Cluster, parent: Manifest, *, live: bool = False, expected: Collection[int] = ()
) -> ObservedTraining:
    """List the children by label.

    Args:
        live: Ask the API server. A cached Job and its cached pods are not of the same moment.
        expected: Attempts that have a Job, as far as is known. A list that lacks one is not believed: read live, that
            Job is asked for by its name.
    """
    namespace, name = parent["metadata"]["namespace"], parent["metadata"]["name"]
    if not is_name(name):  # no label either, so it has no children
        return NOTHING
    labels = identity.selector(name)
    config_maps, services, jobs = await asyncio.gather(
        *(cluster.select(kind, namespace, labels=labels, live=live) for kind in (CONFIG_MAP, SERVICE, JOB))
    )
    if live:
        names = {identity.attempt_name(name, number, identity.lead_of(parent)) for number in expected}
        jobs = [*jobs, *await found(cluster, JOB, namespace, names - names_of(jobs))]
    # Strictly after the Jobs: what ended a Job we have seen has then happened to the pod we see, last words included.
    pods = await cluster.select(POD, namespace, labels=labels, live=live)
    return sort(parent, config_maps=config_maps, services=services, jobs=jobs, pods=pods)
