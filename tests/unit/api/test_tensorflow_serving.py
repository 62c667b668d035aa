"""The generated TensorFlow Serving messages."""

import subprocess
import sys
from pathlib import Path

import trainyard_api


def test_the_generated_module_is_that_of_the_proto_file(tmp_path: Path) -> None:
    root = Path(trainyard_api.__file__).parents[1]
    proto = Path("trainyard_api/tensorflow_serving.proto")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", f"--python_out={tmp_path}", str(root / proto)]

    subprocess.run(command, check=True)

    generated = proto.with_name("tensorflow_serving_pb2.py")
    assert (tmp_path / generated).read_text() == (root / generated).read_text(), "run `make protos`"
