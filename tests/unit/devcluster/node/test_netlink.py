"""Address ranges made local, tried in a network namespace that is thrown away."""

import subprocess
import sys

import pytest

CODE = """
import ctypes, fcntl, os, socket, struct, sys
CLONE_NEWUSER, CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x10000000, 0x40000000, 0x8914, 1
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET):
    sys.exit(77)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))

from trainyard_devcluster.node.netlink import make_local

def reaches(address):
    try:
        with socket.create_server((address, 0)) as server:
            with socket.create_connection(server.getsockname(), timeout=2):
                return True
    except OSError:
        return False

assert not reaches("10.244.3.9")
make_local("10.244.3.0/24")
assert reaches("10.244.3.9")
make_local("10.244.3.0/24")
make_local("10.96.0.1/32")
assert reaches("10.96.0.1")
assert not reaches("10.96.0.2")
"""


def test_a_range_can_be_bound_and_reached_once_it_is_local_and_asking_twice_is_no_error() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=30)
    if done.returncode == 77:
        pytest.skip("this machine does not let us make a network namespace")
    assert done.returncode == 0, done.stderr
