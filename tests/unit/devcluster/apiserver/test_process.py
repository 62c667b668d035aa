"""The server as a process: how it starts, stops and comes back."""

import stat
from pathlib import Path

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from support.api_process import api_server


def core(kubeconfig: Path) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))


def test_the_kubeconfig_is_for_its_owner_alone_and_leads_to_the_server(tmp_path: Path) -> None:
    with api_server(tmp_path) as kubeconfig:
        assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
        names = {each.metadata.name for each in core(kubeconfig).list_namespace().items}
        assert names == {"default", "kube-system", "kube-public", "kube-node-lease"}


def test_a_kubeconfig_outlives_the_server_while_the_objects_do_not(tmp_path: Path) -> None:
    with api_server(tmp_path) as kubeconfig:
        api = core(kubeconfig)
        api.create_namespaced_config_map("default", {"metadata": {"name": "settings"}})
        version = api.list_config_map_for_all_namespaces().metadata.resource_version
        first = kubeconfig.read_text()
    with api_server(tmp_path) as kubeconfig:
        assert kubeconfig.read_text() == first
        assert api.list_namespaced_config_map("default").items == []
        events = watch.Watch().stream(
            api.list_config_map_for_all_namespaces, resource_version=version, timeout_seconds=1
        )
        try:
            found = list(events)
        except ApiException as error:
            found = [{"type": "ERROR", "code": error.status}]
        assert [(each["type"], each["code"]) for each in found] == [("ERROR", 410)]


def test_open_watches_do_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with api_server(tmp_path) as kubeconfig:
        api = core(kubeconfig)
        stream = api.list_namespace(watch=True, _preload_content=False)
        assert b"ADDED" in next(stream.stream())
    assert stream.read() is not None
