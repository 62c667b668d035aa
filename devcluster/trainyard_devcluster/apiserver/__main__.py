"""Runs the API server: `python -m trainyard_devcluster.apiserver --dir DIR [--port N]`."""

import argparse
import asyncio
import gc
import signal
import socket
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from aiohttp import web

from trainyard_devcluster.apiserver.auth.identity import Authenticator
from trainyard_devcluster.apiserver.auth.tokens import Signer
from trainyard_devcluster.apiserver.bootstrap import bootstrap
from trainyard_devcluster.apiserver.builtin import builtin_resources
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.credentials import Credentials, prepare, write_kubeconfig
from trainyard_devcluster.apiserver.custom import serve_definitions
from trainyard_devcluster.apiserver.endpoints.logs import Logs
from trainyard_devcluster.apiserver.expiry import keep_forgetting
from trainyard_devcluster.apiserver.registry import Registry
from trainyard_devcluster.apiserver.server import Server
from trainyard_devcluster.apiserver.store import Store

HOST = IPv4Address("127.0.0.1")
_SHUTDOWN_SECONDS = 2.0


def new_cluster(service_network: IPv4Network) -> Cluster:
    """Return an empty cluster.

    Revisions begin at the time in milliseconds: beyond all those of an earlier process, whose objects are gone, so that
    its clients get 410 and list again.
    """
    cluster = Cluster(Store(int(time.time() * 1000)), Registry(builtin_resources()), service_network)
    serve_definitions(cluster)
    return cluster


def new_server(cluster: Cluster, credentials: Credentials, address: str) -> Server:
    """Return the server of a cluster."""
    authenticator = Authenticator(cluster, credentials.admin_token, Signer(credentials.signing_key))
    return Server(cluster, authenticator, Logs(cluster, credentials.kubelet_tls), address)


async def run(folder: Path, port: int, service_network: IPv4Network) -> None:
    """Serve until SIGTERM or SIGINT; the kubeconfig appears once the server listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    credentials = prepare(folder)
    listener = _listen(folder, port)
    chosen = listener.getsockname()[1]
    cluster = new_cluster(service_network)
    bootstrap(cluster, HOST, chosen, client_authority=credentials.authority.decode())
    server = new_server(cluster, credentials, f"{HOST}:{chosen}")
    runner = web.AppRunner(server.application(), access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=credentials.tls, shutdown_timeout=_SHUTDOWN_SECONDS).start()
        write_kubeconfig(folder / "kubeconfig", f"https://{HOST}:{chosen}", credentials)
        # Schemas and code live as long as the process: keep them out of every collection.
        gc.freeze()
        async with asyncio.TaskGroup() as tasks:
            forgetting = tasks.create_task(keep_forgetting(cluster))
            await stop.wait()
            forgetting.cancel()
    finally:
        await runner.cleanup()


def _listen(folder: Path, port: int) -> socket.socket:
    """Listen on the port asked for, else on the one of the last run, so that its kubeconfig stays valid."""
    remembered = folder / "port"
    wanted = port or (int(remembered.read_text()) if remembered.exists() else 0)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((str(HOST), wanted))
    listener.listen(1024)
    remembered.write_text(str(listener.getsockname()[1]))
    return listener


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="trainyard_devcluster.apiserver", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder of the kubeconfig, keys and tokens")
    parser.add_argument("--port", type=int, default=0, help="0: the port of the last run, else any free one")
    parser.add_argument("--service-cidr", type=IPv4Network, default=IPv4Network("127.32.0.0/16"))
    options = parser.parse_args()
    asyncio.run(run(options.dir, options.port, options.service_cidr))


if __name__ == "__main__":
    main()
