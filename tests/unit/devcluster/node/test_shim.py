"""What Python processes of a pod do differently: wildcard addresses and Service names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainyard_devcluster.node.launch import SHIM

POD_IP = "127.64.99.2"
HOSTS = """\
127.32.0.7 web.ns.svc.cluster.local
127.64.0.9 job-0.train.ns.svc.cluster.local
127.64.0.9 train.ns.svc.cluster.local
127.64.0.8 train.ns.svc.cluster.local
"""


def run(code: str, tmp_path: Path, **env: str) -> str:
    hosts = tmp_path / "hosts"
    hosts.write_text(HOSTS)
    variables = {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join([str(SHIM), env.pop("PYTHONPATH", "")]),
        "DEVCLUSTER_POD_IP": POD_IP,
        "DEVCLUSTER_HOSTS": str(hosts),
        "DEVCLUSTER_NAMESPACE": "ns",
        **env,
    }
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


ASYNCIO = """
import asyncio
async def main():
    server = await asyncio.start_server(lambda r, w: None, HOST, 0)
    print(sorted(s.getsockname()[0] for s in server.sockets))
    server.close()
asyncio.run(main())
"""


@pytest.mark.parametrize("host", ["None", "''", "'0.0.0.0'"])
def test_asyncio_servers_listen_on_the_pods_address(tmp_path: Path, host: str) -> None:
    assert run(ASYNCIO.replace("HOST", host), tmp_path) == f"['{POD_IP}']"


@pytest.mark.parametrize(
    ("code", "bound"),
    [
        ("s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[0])", POD_IP),
        ("s = socket.socket(); s.bind(('0.0.0.0', 0)); print(s.getsockname()[0])", POD_IP),
        ("s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[0])", "127.0.0.1"),
        ("s = socket.socket(socket.AF_INET6); s.bind(('::', 0)); print(s.getsockname()[0])", f"::ffff:{POD_IP}"),
        ("import http.server as h; s = h.HTTPServer(('', 0), None); print(s.server_address[0])", POD_IP),
        ("s = socket.create_server(('', 0)); print(s.getsockname()[0])", POD_IP),
    ],
)
def test_only_wildcard_addresses_become_the_pods(tmp_path: Path, code: str, bound: str) -> None:
    assert run(f"import socket; {code}", tmp_path) == bound


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("web", ["127.32.0.7"]),
        ("web.ns", ["127.32.0.7"]),
        ("web.ns.svc", ["127.32.0.7"]),
        ("WEB.ns.svc.cluster.local.", ["127.32.0.7"]),
        ("job-0.train", ["127.64.0.9"]),
        ("train", ["127.64.0.8", "127.64.0.9"]),
        ("127.0.0.5", ["127.0.0.5"]),
        ("localhost", ["127.0.0.1"]),
    ],
)
def test_names_of_the_cluster_are_known(tmp_path: Path, name: str, addresses: list[str]) -> None:
    code = f"import socket; print(sorted({{e[4][0] for e in socket.getaddrinfo('{name}', 80, socket.AF_INET)}}))"
    assert run(code, tmp_path) == str(addresses)
    assert run(f"import socket; print(socket.gethostbyname('{name}'))", tmp_path) in addresses


def test_names_of_other_namespaces_need_their_namespace(tmp_path: Path) -> None:
    code = """
import socket
print(socket.gethostbyname('web.ns'))
try:
    socket.gethostbyname('web.other.invalid')
except OSError:
    print('unknown')
"""
    assert run(code, tmp_path, DEVCLUSTER_NAMESPACE="other") == "127.32.0.7\nunknown"


def test_a_sitecustomize_of_the_pods_own_still_runs(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import os\nos.environ['MINE'] = __file__\n")
    assert run("import os; print(os.environ['MINE'])", tmp_path, PYTHONPATH=str(own)) == str(own / "sitecustomize.py")


def test_without_a_pod_nothing_changes(tmp_path: Path) -> None:
    code = "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[0])"
    assert run(code, tmp_path, DEVCLUSTER_POD_IP="", DEVCLUSTER_HOSTS="") == "0.0.0.0"


CALL = """
import socket
server = socket.create_server(("127.0.0.1", 0))
with socket.socket() as client:
    client.connect(server.getsockname())
    print(server.accept()[1][0])
"""


def test_a_pod_calls_from_its_own_address(tmp_path: Path) -> None:
    assert run(CALL, tmp_path) == POD_IP
