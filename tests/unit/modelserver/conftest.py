"""Models to serve and servers that serve them."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.serving_client import GRPC, REST, Client, Saved, Serve
from support.serving_models import loopback_address, save_line, save_mixed
from trainyard_modelserver.flags import Options
from trainyard_modelserver.server import Server


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("saved")
    return Saved(
        save_line(folder / "half_plus_two"),
        save_line(folder / "identity", slope=1.0, offset=0.0),
        save_mixed(folder / "mixed"),
    )


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """Start servers in this process, each with both ports on an address of its own and `flags` as given."""
    started: list[Server | Client] = []
    with pytest.MonkeyPatch.context() as environment:

        def start(**flags: Any) -> Client:
            address = loopback_address()
            environment.setenv("DEVCLUSTER_POD_IP", address)
            server = Server(Options(**{"port": GRPC, "rest_api_port": REST, **flags}))
            started.append(server)
            server.start()
            client = Client(address)
            started.append(client)
            return client

        yield start
        for each in reversed(started):
            each.close() if isinstance(each, Client) else each.stop()


@pytest.fixture(scope="module")
def monitoring(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file that turns the metrics on."""
    file = tmp_path_factory.mktemp("monitoring") / "monitoring.config"
    file.write_text("prometheus_config { enable: true }")
    return str(file)
