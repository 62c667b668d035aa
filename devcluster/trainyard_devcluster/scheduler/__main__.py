"""`python -m trainyard_devcluster.scheduler --kubeconfig FILE`."""

import argparse
import sys
from pathlib import Path

from trainyard_devcluster import process
from trainyard_devcluster.client import Client
from trainyard_devcluster.scheduler.scheduler import Scheduler


async def schedule(kubeconfig: Path) -> None:
    """Schedule pods on the cluster that the kubeconfig names."""
    async with Client.from_kubeconfig(kubeconfig, user_agent="trainyard-devcluster-scheduler") as client:
        await Scheduler(client).run()


def main() -> int:
    """Run the scheduler until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m trainyard_devcluster.scheduler", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--verbose", action="store_true", help="log every retry")
    arguments = parser.parse_args()
    return process.run(schedule(arguments.kubeconfig), verbose=arguments.verbose)


if __name__ == "__main__":
    sys.exit(main())
