"""The parts as commands: what a person is told whose kubeconfig cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PLUGIN = {
    "current-context": "a",
    "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1"}}],
    "users": [{"name": "u", "user": {"exec": {"command": "aws"}}}],
}


@pytest.mark.parametrize(
    ("part", "content", "said"),
    [
        ("node", None, "expected a kubeconfig, found no such file"),
        ("scheduler", "{}", "expected '' among the kubeconfig's contexts"),
        ("controllers", yaml.safe_dump(PLUGIN), "write a token into the kubeconfig instead"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, part: str, content: str | None, said: str
) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    command = [sys.executable, "-m", "trainyard_devcluster", part, "--kubeconfig", str(file)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
