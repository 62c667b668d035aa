"""A second machine joins a devcluster: all that it is given is a kubeconfig."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from support.devcluster import devcluster
from support.kube_api import Api, Object, connect
from support.manifests import a_pod, a_shell
from support.processes import running

pytestmark = pytest.mark.skipif(bool(os.environ.get("KUBECONFIG")), reason="another cluster is under test")

NODE: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "second"}}
ACCOUNT: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}


def is_ready(node: Object) -> bool:
    return any((each["type"], each["status"]) == ("Ready", "True") for each in node["status"].get("conditions") or ())


@contextmanager
def a_second_node(kubeconfig: Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A node agent in a folder of its own, which holds a copy of the kubeconfig."""
    folder.mkdir()
    command = [sys.executable, "-m", "trainyard_devcluster", "node", "--name", "second", "--dir", str(folder)]
    command += ["--kubeconfig", shutil.copy(kubeconfig, folder / "joining")]
    with (folder / "node.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def test_a_kubeconfig_is_all_that_a_second_node_needs(tmp_path: Path) -> None:
    with devcluster(tmp_path / "first") as kubeconfig, connect(kubeconfig) as client:
        api = Api(client, "default")
        with a_second_node(kubeconfig, tmp_path / "second") as agent:
            own = api.wait_for(NODE, is_ready)["spec"]["podCIDR"]
            taken = api.get(NODE | {"metadata": {"name": "devcluster"}})
            assert taken is not None
            assert not IPv4Network(own).overlaps(IPv4Network(taken["spec"]["podCIDR"]))
            api.wait_for(ACCOUNT, bool)
            forever = a_shell("echo $$$$; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done")
            api.create(a_pod(forever, nodeSelector={"kubernetes.io/hostname": "second"}))
            api.wait_for(a_pod(), lambda pod: pod["status"].get("phase") == "Running", description="it runs")
            assert "node second has joined https://" in (tmp_path / "second/node.log").read_text()
            found = api.get(a_pod())
            assert found is not None
            assert IPv4Address(found["status"]["podIP"]) in IPv4Network(own)
            pid = next(api.follow_logs("pod"))
            assert running(pid)
            assert api.logs("pod") == f"{pid}\n"
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(30) == 0
            assert not running(pid)
        api.delete(NODE)
        api.wait_until_gone(a_pod())
