"""How to reach the API server: one configuration, for our client and for kopf."""

import os

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

_REQUESTS = 32
"""Requests in flight at most: the API server, not the client, is what gets slow first."""


async def load_configuration() -> Configuration:
    """Read KUBECONFIG where it is set, else the pod's service account, else ~/.kube/config.

    Raises:
        kubernetes.aio.config.ConfigException: there is none of them, or it is broken.
    """
    configuration = Configuration()
    if "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=configuration)
    else:
        # The library reads the variable when it is imported; a process may set it later.
        await config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=configuration)
    configuration.connection_pool_maxsize = _REQUESTS
    return configuration
