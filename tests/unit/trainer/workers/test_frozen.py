"""Workers that are frozen (SIGSTOP) at random moments are noticed within the time that the documentation states."""

import json
import statistics
import subprocess
import sys

import pytest

from trainyard_api import names
from trainyard_trainer.workers.group import GRACE_SECONDS, SILENT_BEATS

pytestmark = pytest.mark.thorough

MOMENTS = 20
MORE_BEATS, MOST_BEATS = 7, 40
"""Beats are of 50 ms here; processes that share a core come late by some, and now and then by many."""


def test_whoever_is_frozen_the_other_ends_in_time_to_start_again_though_it_waits_for_ever_itself() -> None:
    command = [sys.executable, "-m", "support.peer_forks", str(MOMENTS), "freeze"]
    done = subprocess.run(command, cwd="tests", capture_output=True, text=True, timeout=120)

    pairs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(pairs) == MOMENTS, done.stderr
    assert {(each["frozen"], each["waits"]) for each in pairs} == {(0, False), (0, True), (1, False), (1, True)}
    for each in pairs:
        assert each["code"] == names.EXIT_PEER_LOST
        assert each["how"] == ("abandoned" if each["waits"] else "noticed")
        assert f"worker {each['frozen']} has given no sign of life" in each["message"]
        assert SILENT_BEATS - 1 < each["beats"] < SILENT_BEATS + GRACE_SECONDS + MOST_BEATS
    usual = statistics.median(each["beats"] for each in pairs)
    assert usual < SILENT_BEATS + GRACE_SECONDS + MORE_BEATS
