"""A container's life: starts, ends, restarts, probes, hooks and messages, with real processes."""

import asyncio
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from support.eventually import eventually
from support.processes import running
from trainyard_devcluster.events import utc_now
from trainyard_devcluster.node.backoff import Backoff
from trainyard_devcluster.node.container import Container
from trainyard_devcluster.node.env import ConfigError
from trainyard_devcluster.node.images import Image, ImageError
from trainyard_devcluster.node.launch import ContainerFolder, Launch, launch, variables
from trainyard_devcluster.node.status import Running, Terminated, Waiting
from trainyard_devcluster.strays import CONTAINER_MARK


class FakePod:
    """The pod of one container: resolves every image to the container's own command."""

    ip = "127.0.0.1"

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.events: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    async def launch(self, container: dict[str, Any], folder: ContainerFolder, container_id: str) -> Launch:
        if self.errors:
            raise self.errors.pop(0)
        image = Image("*")
        values = variables(container, image, {}, lookup=lambda kind, name: None, field=str)
        marks = {CONTAINER_MARK: container_id}
        return launch(container, image, values, mounts={}, folder=folder, marks=marks)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def changed(self) -> None:
        self._changed.set()

    def normal(self, reason: str, message: str) -> None:
        self.events.append((reason, message))

    def warning(self, reason: str, message: str) -> None:
        self.events.append((reason, message))

    def grace(self, container: dict[str, Any]) -> float:
        return 5.0

    def describe(self, container_name: str) -> str:
        return f"container={container_name} pod=p"

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for the container to change so."""
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.events]


@pytest.fixture
def pod() -> FakePod:
    return FakePod()


@pytest.fixture
def container(tmp_path: Path, pod: FakePod) -> Callable[..., Container]:
    folders = (tmp_path / f"container-{n}" for n in count())

    def make(script: str, **spec: Any) -> Container:
        body = {"name": "main", "image": "busybox", "command": ["sh", "-c", script], **spec}
        backoff = Backoff(first=timedelta(seconds=0.05))
        return Container(body, ContainerFolder(next(folders)), pod, backoff)

    return make


def ended(container: Container) -> Terminated:
    assert isinstance(container.state, Terminated)
    return container.state


@pytest.mark.parametrize(("policy", "code"), [("Never", 0), ("Never", 3), ("OnFailure", 0)])
async def test_a_container_runs_once_where_its_policy_says_so(
    container: Callable[..., Container], pod: FakePod, policy: str, code: int
) -> None:
    made = container(f"exit {code}")
    assert await made.run(policy) == code
    assert ended(made).reason == ("Error" if code else "Completed")
    assert made.restarts == 0
    assert pod.reasons() == ["Pulled", "Created", "Started"]


async def test_a_container_that_fails_is_restarted_at_once_and_then_after_a_pause(
    container: Callable[..., Container], pod: FakePod, tmp_path: Path
) -> None:
    made = container(f"echo x >> {tmp_path}/n; test $(wc -l < {tmp_path}/n) -ge 4")
    assert await made.run("OnFailure") == 0
    assert made.restarts == 3
    assert made.last is not None
    assert made.last.exit_code == 1
    assert [reason for reason in pod.reasons() if reason == "BackOff"] == ["BackOff"] * 2


async def test_a_container_in_backoff_says_how_long(container: Callable[..., Container], pod: FakePod) -> None:
    made = container("exit 1")
    made._backoff = Backoff(first=timedelta(seconds=90))
    life = asyncio.create_task(made.run("Always"))
    await pod.until(lambda: isinstance(made.state, Waiting) and made.restarts == 1)
    assert made.state == Waiting("CrashLoopBackOff", "back-off 1m30s restarting failed container=main pod=p")
    life.cancel()


async def test_its_termination_message_comes_from_its_file_and_its_end_only(
    container: Callable[..., Container],
) -> None:
    made = container("echo first > /dev/termination-log")
    await made.run("Never")
    assert ended(made).message == "first\n"
    long = container(
        "head -c 5000 /dev/zero | tr '\\0' x > $MSG; echo end >> $MSG",
        env=[{"name": "MSG", "value": "/my/message"}],
        terminationMessagePath="/my/message",
    )
    await long.run("Never")
    assert len(ended(long).message) == 4096
    assert ended(long).message.endswith("xend\n")


@pytest.mark.parametrize(("code", "message"), [(1, "last words\n"), (0, "")])
async def test_it_falls_back_to_the_log_on_errors_only(
    container: Callable[..., Container], code: int, message: str
) -> None:
    made = container(f"echo last words; exit {code}", terminationMessagePolicy="FallbackToLogsOnError")
    await made.run("Never")
    assert ended(made).message == message


async def test_sigterm_comes_first_and_sigkill_when_the_grace_is_over(
    container: Callable[..., Container], pod: FakePod
) -> None:
    polite = container("trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done")
    stubborn = container("trap '' TERM; echo up; while :; do sleep 0.01; done")
    for made, code, grace in ((polite, 9, 10.0), (stubborn, 137, 0.1)):
        life = asyncio.create_task(made.run("Never"))
        await _said(made, "up")
        await made.terminate(grace)
        assert await life == code
    assert ("Killing", "Stopping container main") in pod.events


async def test_pre_stop_runs_before_sigterm(container: Callable[..., Container], tmp_path: Path) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", f"echo hook >> {tmp_path}/order"]}}}
    made = container(
        f"trap 'echo term >> {tmp_path}/order; exit 0' TERM; echo up; while :; do sleep 0.01; done", lifecycle=hook
    )
    life = asyncio.create_task(made.run("Never"))
    await _said(made, "up")
    await made.terminate(10)
    assert await life == 0
    assert (tmp_path / "order").read_text() == "hook\nterm\n"


async def test_a_failing_post_start_hook_ends_the_container(container: Callable[..., Container], pod: FakePod) -> None:
    made = container("sleep 60", lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo oh; exit 1"]}}})
    assert await made.run("Never") == 143
    assert ("FailedPostStartHook", "PostStartHook failed: oh") in pod.events


async def test_it_is_ready_and_started_as_its_probes_say(
    container: Callable[..., Container], pod: FakePod, tmp_path: Path
) -> None:
    def exists(name: str) -> dict[str, Any]:
        probe = {"exec": {"command": ["test", "-e", f"{tmp_path}/{name}"]}}
        return probe | {"periodSeconds": 0.02, "failureThreshold": 1000}

    readiness = exists("ready") | {"failureThreshold": 1}
    made = container("sleep 60", startupProbe=exists("up"), readinessProbe=readiness)
    life = asyncio.create_task(made.run("Never"))
    await pod.until(lambda: isinstance(made.state, Running))
    assert (made.view.started, made.view.ready) == (False, False)
    (tmp_path / "up").touch()
    await pod.until(lambda: made.view.started)
    assert not made.view.ready
    (tmp_path / "ready").touch()
    await pod.until(lambda: made.view.ready)
    (tmp_path / "ready").unlink()
    await pod.until(lambda: not made.view.ready)
    await made.terminate(0)
    await life
    assert (made.view.started, made.view.ready) == (False, False)


async def test_a_failing_liveness_probe_restarts_it(
    container: Callable[..., Container], pod: FakePod, tmp_path: Path
) -> None:
    probe = {"exec": {"command": ["sh", "-c", "echo ill; exit 1"]}, "periodSeconds": 0.01, "failureThreshold": 2}
    made = container(f"test -e {tmp_path}/n && exit 0; touch {tmp_path}/n; sleep 60", livenessProbe=probe)
    assert await made.run("OnFailure") == 0
    assert made.restarts == 1
    assert ("Unhealthy", "Liveness probe failed: ill") in pod.events
    assert ("Killing", "Container main failed liveness probe, will be restarted") in pod.events


async def test_what_is_missing_is_waited_for_and_named(container: Callable[..., Container], pod: FakePod) -> None:
    pod.errors = [ImageError("no such image"), ConfigError('secret "x" not found')]
    made = container("exit 0")
    states = []
    wait = made._wait
    made._wait = lambda reason, message: (states.append(reason), wait(reason, message))[1]  # type: ignore[method-assign]
    assert await made.run("Never") == 0
    assert states == ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"]
    assert ("Failed", 'Error: secret "x" not found') in pod.events


async def test_a_program_that_is_not_there_ends_the_container_with_the_reason(
    container: Callable[..., Container],
) -> None:
    made = container("", command=["no-such-program"])
    assert await made.run("Never") == 128
    assert ended(made).reason == "StartError"
    assert "no-such-program" in ended(made).message


async def test_each_run_has_its_own_log(container: Callable[..., Container], tmp_path: Path) -> None:
    made = container(f"test -e {tmp_path}/n && echo second && exit 0; touch {tmp_path}/n; echo first; exit 1")
    await made.run("OnFailure")
    assert "first" in made.folder.log(0).read_text()
    assert "second" in made.folder.log(1).read_text()


async def test_a_log_is_asked_for_by_run_and_between_two_runs_the_last_one_is_both(
    container: Callable[..., Container], pod: FakePod
) -> None:
    made = container("echo $RANDOM; exit 1")
    with pytest.raises(ValueError, match="c is waiting to start: ContainerCreating"):
        made.log_file("c", previous=False)
    with pytest.raises(ValueError, match="previous terminated c not found"):
        made.log_file("c", previous=True)
    made._backoff = Backoff(first=timedelta(seconds=90))
    life = asyncio.create_task(made.run("Always"))
    await pod.until(lambda: isinstance(made.state, Waiting) and made.restarts == 1)
    assert made.log_file("c", previous=False).path == made.folder.log(1)
    assert made.log_file("c", previous=True).path == made.folder.log(1)
    life.cancel()


async def test_nothing_that_it_started_is_left_when_it_ends(
    container: Callable[..., Container], tmp_path: Path
) -> None:
    stray = f"import os; os.setsid(); open('{tmp_path}/pid', 'w').write(str(os.getpid())); import time; time.sleep(60)"
    script = f'{sys.executable} -c "{stray}" & while ! test -s {tmp_path}/pid; do sleep 0.01; done'
    await container(script).run("Never")
    await eventually(lambda: not running((tmp_path / "pid").read_text()))


async def test_an_earlier_run_is_taken_over_and_the_policy_decides(container: Callable[..., Container]) -> None:
    lost = Terminated(137, "ContainerStatusUnknown", "", None, utc_now(), "devcluster://old")
    again = container("exit 0")
    again.resume(2, lost)
    assert await again.run("OnFailure") == 0
    assert again.restarts == 3
    never = container("exit 0")
    never.resume(2, lost)
    assert await never.run("Never") == 137
    assert never.restarts == 2


async def _said(made: Container, text: str) -> None:
    """Wait until the container has written this."""
    log = made.folder.log(0)
    await eventually(lambda: log.exists() and text in log.read_text())
