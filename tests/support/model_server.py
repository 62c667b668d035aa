"""The devcluster's model server in this process, for tests of what the trainer exports."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.serving_client import GRPC, REST, Client
from support.serving_models import loopback_address
from trainyard_devcluster.modelserver.flags import Options
from trainyard_devcluster.modelserver.server import Server


@contextmanager
def served(model: Path, name: str, folder: Path) -> Iterator[Client]:
    """Serve all versions in a model's folder under a name; `folder` is for the server's own settings."""
    monitoring = folder / "monitoring.config"
    monitoring.write_text('prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }')
    with pytest.MonkeyPatch.context() as environment:
        address = loopback_address()
        environment.setenv("DEVCLUSTER_POD_IP", address)
        options = Options(
            port=GRPC,
            rest_api_port=REST,
            model_name=name,
            model_base_path=str(model),
            monitoring_config_file=str(monitoring),
        )
        server = Server(options)
        client = Client(address)
        try:
            server.start()
            yield client
        finally:
            client.close()
            server.stop()
