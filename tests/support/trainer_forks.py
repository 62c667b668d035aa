"""Many short-lived trainer processes for the price of one: TensorFlow is imported once, and each of them is a fork.

They are real processes that can really be killed. Forking is sound because importing TensorFlow does not start it yet.
A trainer runs as a trial, which trains and exports nothing, unless it is asked to: what it leaves behind is its last
checkpoint. No process verifies what is exported, because that one would have to load TensorFlow.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from support.trainer_runs import SpecBuilder, environment
from trainyard_api import names

GRACE_SECONDS = 30.0
"""How long Kubernetes waits after SIGTERM, by default."""


@dataclass(frozen=True)
class Ended:
    """How a trainer ended, and what it said."""

    code: int
    events: list[dict[str, Any]]
    report: Mapping[str, Any]
    """The termination message; empty where there is none, or where a kill cut it short."""
    seconds: float
    """From the event that was waited for to the end."""

    def all(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]


class Trainers:
    """Starts one trainer after the other."""

    def __enter__(self) -> "Trainers":
        self._server = subprocess.Popen(
            [sys.executable, "-m", "support.trainer_forks"],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None
        self._server.stdin.close()
        self._server.wait(GRACE_SECONDS)
        assert self._server.stdout is not None
        self._server.stdout.close()

    def run(
        self,
        spec: SpecBuilder,
        folder: Path,
        *,
        export: bool = False,
        send: signal.Signals | None = None,
        after: str = "done",
        delay: float = 0,
    ) -> Ended:
        """Train in `folder`; a signal is sent so many seconds after an event of the trainer's log, if at all."""
        log, message = folder / "log", Path(environment(folder)[names.TERMINATION_MESSAGE_ENV])
        log.write_text("")
        message.unlink(missing_ok=True)
        order = {"spec": str(spec.write(folder)), "folder": str(folder), "log": str(log), "trial": not export}
        pid = self._ask(order)
        deadline = time.monotonic() + GRACE_SECONDS
        while not any(each in log.read_text() for each in (f'"{after}"', '"done"')) and time.monotonic() < deadline:
            time.sleep(0.005)
        happened = time.monotonic()
        if send is not None:
            time.sleep(delay)
            os.kill(pid, send)  # the server takes note of its end only when it is asked, so the pid is still its own
        code = self._ask({"wait": pid})
        seconds = time.monotonic() - happened
        events = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        said = message.read_text() if message.exists() else ""
        return Ended(code, events, json.loads(said) if said.endswith("}") else {}, seconds)

    def _ask(self, order: Mapping[str, Any]) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(order), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())


def _serve() -> None:
    import trainyard_trainer.export.publishing
    import trainyard_trainer.fitting.fit
    import trainyard_trainer.train  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _train(order)
        print(pid, flush=True)


class _Trust:
    """Takes what was exported for good."""

    alive = True

    def check(self, folder: Path, inputs: Any, answers: Any) -> int:
        return 1


def _train(order: Mapping[str, Any]) -> None:
    from trainyard_trainer.__main__ import TrainerProcess

    env = environment(Path(order["folder"]))
    with open(order["log"], "w", buffering=1) as sys.stdout, open(os.devnull, "w") as sys.stderr:
        program = TrainerProcess(env, verifier=cast(Any, lambda: contextlib.nullcontext(_Trust())))
        code = program.run(order["spec"], trial=order["trial"])
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
