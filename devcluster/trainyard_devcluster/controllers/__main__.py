"""`python -m trainyard_devcluster.controllers --kubeconfig FILE`."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from trainyard_devcluster import process
from trainyard_devcluster.client import Client, UnavailableError
from trainyard_devcluster.controllers.autoscaler.controller import AutoscalerController
from trainyard_devcluster.controllers.bootstrap import DEFAULT_CLASS, contents, create_missing
from trainyard_devcluster.controllers.context import Context, Controller, Settings
from trainyard_devcluster.controllers.deployment.controller import DeploymentController
from trainyard_devcluster.controllers.disruption_budgets import DisruptionBudgetController
from trainyard_devcluster.controllers.endpoints.controller import EndpointsController
from trainyard_devcluster.controllers.garbage.collector import GarbageCollector
from trainyard_devcluster.controllers.garbage.namespaces import NamespaceController
from trainyard_devcluster.controllers.job.controller import JobController
from trainyard_devcluster.controllers.nodes.lifecycle import NodeLifecycleController
from trainyard_devcluster.controllers.nodes.pod_gc import PodGarbageCollector
from trainyard_devcluster.controllers.nodes.ranges import NodeRangeController
from trainyard_devcluster.controllers.replica_set import ReplicaSetController
from trainyard_devcluster.controllers.service_accounts import NamespaceDefaultsController
from trainyard_devcluster.controllers.volumes.controller import VolumeController
from trainyard_devcluster.controllers.volumes.protection import ClaimProtectionController
from trainyard_devcluster.controllers.volumes.provisioner import VolumeProvisioner
from trainyard_devcluster.resources import Object, Resource

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.1


async def control(kubeconfig: Path, settings: Settings) -> None:
    """Run all controllers on the cluster that the kubeconfig names."""
    async with Client.from_kubeconfig(kubeconfig, user_agent="trainyard-devcluster-controllers") as client:
        await _create(client, contents(volumes=settings.volumes_dir is not None))
        context = Context(client, settings)
        collector = GarbageCollector(context)
        controllers: list[Controller] = [
            JobController(context),
            DeploymentController(context),
            ReplicaSetController(context),
            EndpointsController(context),
            collector,
            NamespaceController(context, collector),
            NamespaceDefaultsController(context),
            VolumeController(context),
            VolumeProvisioner(context),
            ClaimProtectionController(context),
            NodeLifecycleController(context),
            NodeRangeController(context),
            PodGarbageCollector(context),
            DisruptionBudgetController(context),
            AutoscalerController(context, collector.catalog),
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(collector.catalog.run())
            group.create_task(context.run(controllers))


async def provision(kubeconfig: Path, settings: Settings) -> None:
    """Make volumes on a cluster that has all other controllers, and a StorageClass for them."""
    async with Client.from_kubeconfig(kubeconfig, user_agent="trainyard-devcluster-provisioner") as client:
        await _create(client, [DEFAULT_CLASS])
        context = Context(client, settings)
        await context.run([VolumeProvisioner(context)])


async def _create(client: Client, objects: Iterable[tuple[Resource, Object]]) -> None:
    while True:
        try:
            await create_missing(client, objects)
        except UnavailableError as error:
            log.debug("%s; trying again", error)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def main() -> int:
    """Run the controllers until a signal ends them."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m trainyard_devcluster.controllers", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--volumes-dir", type=Path, help="make claimed volumes in this folder")
    parser.add_argument("--only", choices=["volumes"], help="make volumes for a real control plane")
    parser.add_argument(
        "--node-grace",
        type=float,
        default=defaults.node_grace,
        metavar="SECONDS",
        help="a node silent for so long is lost",
    )
    parser.add_argument(
        "--eviction-delay",
        type=float,
        default=defaults.eviction_delay,
        metavar="SECONDS",
        help="pods stay on a lost node for so long",
    )
    parser.add_argument(
        "--autoscaler-period",
        type=float,
        default=defaults.autoscaler_period,
        metavar="SECONDS",
        help="autoscalers look at their metrics so often",
    )
    parser.add_argument("--cluster-cidr", type=IPv4Network, help="where nodes' pod addresses are from")
    parser.add_argument("--verbose", action="store_true", help="log every retry")
    arguments = parser.parse_args()
    if arguments.only and not arguments.volumes_dir:
        parser.error("expected --volumes-dir DIR with --only volumes: the folder to make volumes in")
    volumes_dir = arguments.volumes_dir.resolve() if arguments.volumes_dir else None
    settings = Settings(
        volumes_dir,
        arguments.node_grace,
        arguments.eviction_delay,
        arguments.cluster_cidr,
        arguments.autoscaler_period,
    )
    run = provision if arguments.only else control
    return process.run(run(arguments.kubeconfig, settings), verbose=arguments.verbose)


if __name__ == "__main__":
    sys.exit(main())
