"""`make rollout-test`, in short: clients that never ask twice notice nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = ("versions change", "drained", "killed", "errs", "slow", "wrongly", "gateway")


@pytest.mark.thorough
def test_no_request_fails_that_no_bad_canary_answered() -> None:
    command = [sys.executable, "benchmarks/rollouts.py", "--quick", *CASES]
    path = os.pathsep.join(str(ROOT / folder) for folder in ("tests", "examples"))

    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=1200
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| a canary is slow |" in ended.stdout
