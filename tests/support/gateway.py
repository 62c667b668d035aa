"""A Gateway of a test's own: the devcluster's gateway as a process, which can be ended and started again."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.kube_api import Api
from trainyard_devcluster.gateway import envoy

HOST, GRPC_HOST = "models.example.com", "line.grpc.example.com"
NAME = "edge"
START_SECONDS, STOP_SECONDS = 120.0, 30.0


class GatewayProcess:
    """Serves the Gateways of one class, which is named as the namespace of the test."""

    def __init__(self, kubeconfig: Path, api: Api, folder: Path) -> None:
        self._api = api
        self._folder = folder
        self.log = folder / "gateway.log"
        self._command = [sys.executable, "-m", "trainyard_devcluster", "gateway", "--kubeconfig", str(kubeconfig)]
        self._command += ["--class-name", api.namespace, "--dir"]
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0

    def start(self) -> None:
        """Start it; it works once its Gateway has an address."""
        self._started += 1
        folder = self._folder / f"gateway-{self._started}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*self._command, str(folder)], stdout=log, stderr=log)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def restart(self) -> None:
        """Start another one, as a Deployment does, and ask this one to end once the other listens."""
        old = self._process
        assert old is not None
        self.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)
        old.terminate()
        old.wait(STOP_SECONDS)

    def _listens(self) -> bool:
        """Ask Envoy which listeners it has."""
        folder = (self._folder / f"gateway-{self._started}").resolve()
        with socket.socket(socket.AF_UNIX) as admin:
            try:
                admin.connect(str(envoy.admin_socket(folder)))
                admin.sendall(b"GET /listeners HTTP/1.1\r\nHost: envoy\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: admin.recv(65536), b""))
            except OSError:
                return False
        return f"{self._api.namespace}/{NAME}/".encode() in answer

    def listen(self) -> tuple[str, int]:
        """Make a Gateway for REST and gRPC; return where it listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        hosts = {"rest": HOST, "grpc": f"*.{GRPC_HOST.partition('.')[2]}"}
        listeners = [{"name": name, "hostname": host, "port": port, "protocol": "HTTP"} for name, host in hosts.items()]
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": NAME}}
        self._api.apply(kind | {"spec": {"gatewayClassName": self._api.namespace, "listeners": listeners}})
        gateway = self._api.wait_for(
            kind, lambda found: found.get("status", {}).get("addresses"), description="it has an address"
        )
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        return gateway["status"]["addresses"][0]["value"], port


@contextmanager
def running_gateway(kubeconfig: Path, api: Api, folder: Path) -> Iterator[GatewayProcess]:
    """Start a gateway, and make sure that it ends."""
    gateway = GatewayProcess(kubeconfig, api, folder)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


def traffic() -> dict[str, object]:
    """Return `spec.traffic` of a service behind it."""
    rest = {"name": NAME, "hostname": HOST, "sectionName": "rest"}
    return {"gateway": rest | {"grpcHostname": GRPC_HOST, "grpcSectionName": "grpc"}}
