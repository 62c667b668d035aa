"""The generated protocol buffer modules."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("root", "proto"),
    [("api", "trainyard_api/tensorflow_serving.proto"), ("fetcher", "trainyard_fetcher/saved_model.proto")],
)
def test_a_generated_module_is_that_of_its_proto_file(root: str, proto: str, tmp_path: Path) -> None:
    source = ROOT / root / proto
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / root}", f"--python_out={tmp_path}", str(source)]

    subprocess.run(command, check=True)

    generated = Path(proto).with_name(f"{source.stem}_pb2.py")
    assert (tmp_path / generated).read_text() == (ROOT / root / generated).read_text(), "run `make protos`"
