"""How to reach the API server: one configuration, for our client and for kopf."""

import os

from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from yaml import YAMLError

from trainyard_operator.cluster.errors import ApiError

_REQUESTS = 32
"""Requests in flight at most: the API server, not the client, is what gets slow first."""


async def load_configuration() -> Configuration:
    """Read KUBECONFIG where it is set, else the pod's service account, else ~/.kube/config.

    Raises:
        ApiError: there is none of them, or it is broken.
    """
    configuration = Configuration()
    # The library reads the variable when it is imported; a process may set it later.
    given = os.environ.get("KUBECONFIG") or None
    try:
        if given is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(given, client_configuration=configuration)
    except (config.ConfigException, OSError, YAMLError) as error:
        raise ApiError(f"no way to the API server is known: {error}; set KUBECONFIG, or run in a pod") from error
    configuration.connection_pool_maxsize = _REQUESTS
    return configuration
