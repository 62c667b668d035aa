"""`python -m trainyard_devcluster.node --kubeconfig FILE`."""

import sys

from trainyard_devcluster import process
from trainyard_devcluster.client import Client
from trainyard_devcluster.node.agent import Agent
from trainyard_devcluster.node.settings import Settings, parse


async def serve(settings: Settings) -> None:
    """Be a node until cancelled."""
    async with Client.from_kubeconfig(settings.kubeconfig, user_agent="trainyard-devcluster-node") as client:
        await Agent(settings, client).run()


def main() -> int:
    """Run the node agent until a signal ends it."""
    settings = parse()
    return process.run(serve(settings), verbose=settings.verbose)


if __name__ == "__main__":
    sys.exit(main())
