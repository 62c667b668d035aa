"""What containers use: read from a real /proc, and turned into rates."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.workloads import NOW
from trainyard_devcluster.node.usage import (
    Meter,
    RunningContainer,
    UsageSource,
    Used,
    by_session,
    of_machine,
    parse_stat,
)

SECOND = 10**9
STAT = "42 (a (b) c) S 1 42 7 0 -1 4194304 1 2 3 4 100 20 30 5 20 0 1 0 12345 1000000 256 18446744073709551615"


def test_a_process_is_read_whatever_its_name() -> None:
    session, used = parse_stat(STAT)

    ticks = os.sysconf("SC_CLK_TCK")
    assert session == 7
    assert used == Used(155 * SECOND // ticks, 256 * os.sysconf("SC_PAGE_SIZE"))


def test_what_a_container_starts_counts_as_its_own() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(1, flush=True); input()"
    starter = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", starter], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as leader:
        assert leader.stdout is not None
        leader.stdout.readline()
        used = by_session()[leader.pid]
        leader.communicate(b"\n", timeout=10)

    assert used.nanoseconds >= 0.25 * SECOND
    assert used.memory > 1024**2
    assert leader.pid not in by_session()


def test_the_machine_uses_more_than_nothing() -> None:
    used = of_machine()

    assert used.nanoseconds > 0
    assert used.memory > 0


def test_a_process_that_ends_meanwhile_is_left_out(tmp_path: Path) -> None:
    for name, text in (("1", STAT), ("2", ""), ("self", STAT)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_text(text)
    (tmp_path / "3").mkdir()

    assert list(by_session(tmp_path)) == [7]


@pytest.mark.parametrize(
    ("before", "after", "nanocores"),
    [
        pytest.param({7: Used(SECOND, 1)}, {7: Used(6 * SECOND, 5)}, SECOND, id="a core"),
        pytest.param({}, {7: Used(6 * SECOND, 5)}, None, id="seen for the first time"),
        pytest.param({7: Used(9 * SECOND, 1)}, {7: Used(6 * SECOND, 5)}, 0, id="a child has gone with its share"),
    ],
)
def test_a_rate_is_what_was_used_between_two_looks(
    before: dict[int, Used], after: dict[int, Used], nanocores: int | None
) -> None:
    moments = iter([100.0, 105.0])
    meter = Meter(clock=lambda: next(moments), now=lambda: NOW)
    meter.take(before)
    meter.take(after)

    assert meter.readings[7].nanocores == nanocores
    assert meter.readings[7].memory == 5


def test_the_summary_has_the_form_of_the_kubelet() -> None:
    containers = [RunningContainer("ns", "p", "uid", "server", 7), RunningContainer("ns", "p", "uid", "new", 8)]
    source = UsageSource("node", lambda: containers)
    source._meter.take({0: Used(1, 2), 7: Used(1, 2)})

    summary = source.summary()

    assert summary["node"]["nodeName"] == "node"
    (pod,) = summary["pods"]
    assert pod["podRef"] == {"name": "p", "namespace": "ns", "uid": "uid"}
    assert [(each["name"], each["memory"]["workingSetBytes"]) for each in pod["containers"]] == [("server", 2)]
