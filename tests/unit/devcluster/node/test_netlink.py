"""Address ranges made local, tried in a network namespace that is thrown away."""

import subprocess
import sys
from pathlib import Path

import pytest

ISOLATED = """
import ctypes, fcntl, os, socket, struct, sys
CLONE_NEWUSER, CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x10000000, 0x40000000, 0x8914, 1
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET):
    sys.exit(77)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))

from pathlib import Path
from trainyard_devcluster.node.netlink import make_local, remove_local
from trainyard_devcluster.node.routes import LocalRoutes

def reaches(address):
    try:
        with socket.create_server((address, 0)) as server:
            with socket.create_connection(server.getsockname(), timeout=2):
                return True
    except OSError:
        return False

"""
RANGE = """
assert not reaches("10.244.3.9")
make_local("10.244.3.0/24")
assert reaches("10.244.3.9")
make_local("10.96.0.1/32")
assert reaches("10.96.0.1")
assert not reaches("10.96.0.2")
remove_local("10.96.0.1/32")
assert not reaches("10.96.0.1")
assert reaches("10.244.3.9")
"""
NODE = """
make_local("10.96.0.9/32")
record = Path(sys.argv[1]) / "routes"
routes = LocalRoutes(record)
for cidr in ("10.244.3.0/24", "10.96.0.1/32", "10.96.0.9/32"):
    routes.add(cidr)
assert all(map(reaches, ("10.244.3.9", "10.96.0.1", "10.96.0.9")))
routes.remove_all()
assert not reaches("10.244.3.9") and not reaches("10.96.0.1")
assert reaches("10.96.0.9"), "another's route was removed"
assert not record.exists()
"""
KILLED = """
record = Path(sys.argv[1]) / "routes"
LocalRoutes(record).add("10.96.0.1/32")
assert reaches("10.96.0.1")
LocalRoutes(record).remove_all()
assert not reaches("10.96.0.1")
LocalRoutes(record).remove_all()
"""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(RANGE, id="a range can be bound and reached while it is local"),
        pytest.param(NODE, id="a node takes its own routes along when it ends"),
        pytest.param(KILLED, id="the next node removes what a killed one left"),
    ],
)
def test_local_routes(code: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", ISOLATED + code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode == 77:
        pytest.skip("this machine does not let us make a network namespace")
    assert done.returncode == 0, done.stderr
