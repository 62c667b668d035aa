"""The devcluster's model server in this process, for tests of what the trainer exports."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from support.serving_client import GRPC, REST, Client
from support.serving_models import loopback_address
from trainyard_modelserver.flags import Options
from trainyard_modelserver.server import Server
from trainyard_trainer.export.verify import plain


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


def over_rest(client: Client, name: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers to rows, by columns, as a client of the REST interface gets them."""
    instances = [dict(zip(rows, map(_as_json, row), strict=True)) for row in zip(*rows.values(), strict=True)]
    status, body, _ = client.rest("POST", f"/v1/models/{name}:predict", {"instances": instances})
    assert status == 200, body
    predictions = json.loads(body)["predictions"]
    if not isinstance(predictions[0], dict):  # the server leaves out the name of an only output
        return {"value": predictions}
    return {output: [each[output] for each in predictions] for output in predictions[0]}


def over_grpc(client: Client, name: str, rows: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers to rows, by columns, as a client of the gRPC interface gets them; `types` of the inputs."""
    inputs: dict[str, Any] = {
        column: np.array(values, object if types[column] == "string" else types[column])
        for column, values in rows.items()
    }
    reply = client.predict(name, **inputs)
    return {output: plain(tf.make_ndarray(tensor).tolist()) for output, tensor in reply.outputs.items()}


def _as_json(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
