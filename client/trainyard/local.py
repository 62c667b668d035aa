"""Laptop mode: the same training and the same answers without any cluster, by the trainer's own environment.

The trainer and the model server run as processes of their own: this package never imports TensorFlow.
"""

import contextlib
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from trainyard.client import Training
from trainyard.cluster import Manifest
from trainyard.columns import look_at
from trainyard.errors import Failed, TimedOut, Unreachable, Usage
from trainyard.fields import checked
from trainyard.plan import Options, model_name_of, named, plan_for_table
from trainyard.predictions import (
    Instance,
    Prediction,
    Signature,
    answers_in,
    batches,
    body_of,
    example_of,
    signature_of,
)
from trainyard.screen.live import Watched, labelled, showing, status_panel
from trainyard.screen.look import look_panel, plan_line
from trainyard.screen.story import next_steps
from trainyard.screen.words import duration, is_ascii, judge, metric
from trainyard.settings import with_settings
from trainyard.tables import open_table
from trainyard_api.names import LOG_DIR_ENV, MANIFEST_FILE, MODEL_DIR_ENV, PORT_ENV, TERMINATION_MESSAGE_ENV
from trainyard_api.suggestions import listed
from trainyard_api.trainingjob import Progress, TrainingJobStatus

OUTPUT_FOLDER = "trainyard-out"
PYTHON_ENV = "TRAINYARD_TRAINER_PYTHON"
_LOOK_SECONDS = 0.3
_SERVER_SECONDS = 120.0
_ASK_SECONDS = 60.0
_PHASES = {"starting": "Starting", "training": "Running", "exporting": "Exporting", "done": "Succeeded"}


def trainer_python() -> str:
    """Return the interpreter that has the trainer: $TRAINYARD_TRAINER_PYTHON, or this one.

    Raises:
        Usage: neither has it.
    """
    if given := os.environ.get(PYTHON_ENV):
        return given
    if all(importlib.util.find_spec(name) for name in ("trainyard_trainer", "tensorflow")):
        return sys.executable
    raise Usage(
        'training on this machine needs TensorFlow: pip install "trainyard-operator[laptop]", '
        f"or set {PYTHON_ENV} to a Python that has it"
    )


def plan(
    data: str, label: str | None, options: Options, *, keep: Sequence[str] = (), drop: Sequence[str] = ()
) -> Training:
    """Return the training of a file on this machine.

    Raises:
        Usage: something does not make sense.
    """
    if Path(data).suffix in (".yaml", ".yml"):
        document = yaml.safe_load(Path(data).read_text(encoding="utf-8")) if Path(data).exists() else None
        if not isinstance(document, dict):
            raise Usage(f"expected a TrainingJob in {data}")
        return Training(checked(with_settings(document, options.settings)))
    table = open_table(data)
    if label is None:
        raise Usage(f"which column is to be predicted? Name it with --label: {listed(table.columns, 12)}")
    look = look_at(table, label, task=options.task, keep=keep, drop=drop)
    options = named(options, model_name_of(table.name), ())
    return Training(plan_for_table(look, {"uri": str(Path(data).expanduser().absolute())}, options), look)


def train(
    console: Console,
    data: str,
    label: str | None,
    options: Options,
    *,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    dry_run: bool = False,
) -> None:
    """Train on this machine and show how it goes; the model goes to ./trainyard-out/MODEL/VERSION.

    Raises:
        Failed: the trainer's own words.
    """
    planned = plan(data, label, options, keep=keep, drop=drop)
    if dry_run:
        console.file.write(yaml.safe_dump(planned.manifest, sort_keys=False))
        return
    if planned.look:
        console.print(look_panel(planned.look), highlight=False)
    console.print(plan_line(planned, here=True), highlight=False)
    python = trainer_python()
    began = time.monotonic()
    model = str(planned.manifest["spec"].get("modelName") or planned.name)
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        run = _start(python, planned.manifest, Path(OUTPUT_FOLDER) / model, Path(folder))
        _watch(run, console, planned)
        result = run.result
    if result.get("predictions"):
        console.print(labelled("done", Text(str(result["message"]), style="green")), highlight=False)
        return
    made = result.get("model") or {}
    version = Path(OUTPUT_FOLDER) / model / str(made.get("version", ""))
    told = _verdict(result, time.monotonic() - began, planned)
    console.print(labelled("done", Text(told, style="green")), highlight=False)
    console.print()
    file = data if planned.look else "FILE"
    steps = {f"trainyard predict --local {version} {file}": "ask it", f"trainyard serve --local {version}": "serve it"}
    for shown in next_steps(steps):
        console.print(shown, highlight=False)


@dataclass(slots=True)
class _Run:
    """A trainer's process, and what it has said so far."""

    process: "subprocess.Popen[str]"
    port: int
    report: Path
    complaints: list[str] = field(default_factory=list)

    @property
    def result(self) -> Mapping[str, Any]:
        """The last word of the trainer."""
        try:
            found: Mapping[str, Any] = json.loads(self.report.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def progress(self) -> Mapping[str, Any] | None:
        """Return what the trainer says of its progress now."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/progress", timeout=2) as reply:
                found: Mapping[str, Any] = json.loads(reply.read())
        except (OSError, ValueError):
            return None
        return found


def _start(python: str, manifest: Manifest, model: Path, folder: Path) -> _Run:
    spec, report, port = folder / "spec.json", folder / "report.json", _free_port()
    spec.write_text(json.dumps(manifest))
    environment = os.environ | {
        MODEL_DIR_ENV: str(model.absolute()),
        PORT_ENV: str(port),
        TERMINATION_MESSAGE_ENV: str(report),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    environment.pop(LOG_DIR_ENV, None)
    process = subprocess.Popen(
        [python, "-m", "trainyard_trainer", str(spec)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    run = _Run(process, port, report)
    threading.Thread(target=_listen, args=(run,), daemon=True).start()
    return run


def _listen(run: _Run) -> None:
    assert run.process.stderr is not None
    for line in run.process.stderr:
        run.complaints = [*run.complaints[-20:], line.strip()]


def _watch(run: _Run, console: Console, planned: Training) -> None:
    watched = Watched()
    guess = planned.look.label.guess if planned.look else None
    try:
        with showing(console) as show:
            while run.process.poll() is None:
                if found := run.progress():
                    status, phase = to_status(found), _PHASES.get(str(found.get("phase")), "Running")
                    watched.see(status)
                    if show:
                        show(status_panel(status, phase, "", watched, ascii_only=is_ascii(console), guess=guess))
                    elif line := watched.line_due(planned.name, phase, "", status):
                        console.print(line, highlight=False, soft_wrap=True)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.process.wait(_LOOK_SECONDS)
    except KeyboardInterrupt:
        run.process.terminate()
        run.process.wait()
        console.print("stopped; a checkpoint is kept: the same command goes on from it", highlight=False)
        raise
    if run.process.returncode != 0:
        message = str(run.result.get("message") or " ".join(run.complaints[-1:]) or "it said nothing")
        raise Failed(f"the training failed ({run.result.get('reason', run.process.returncode)}): {message}")


def to_status(found: Mapping[str, Any]) -> TrainingJobStatus:
    """Return what /progress says in the form of the status, as the operator does it."""
    eta = found.get("etaSeconds")
    epoch, epochs = int(found.get("epoch") or 0), int(found.get("epochs") or 0)
    progress = Progress(
        epoch=epoch,
        epochs=epochs,
        step=int(found.get("step") or 0),
        steps=int(found.get("steps") or 0),
        percent=int(found.get("percent") or (100 * epoch // epochs if epochs else 0)),
        summary=f"{epoch}/{epochs}" if epochs else "",
        loss=None if found.get("loss") is None else str(found["loss"]),
        metrics={name: str(value) for name, value in (found.get("metrics") or {}).items() if value is not None},
        eta=None if eta is None else duration(float(eta)),
    )
    return TrainingJobStatus(phase="Running", progress=progress)


def _verdict(result: Mapping[str, Any], seconds: float, planned: Training) -> str:
    metrics = {name: float(value) for name, value in (result.get("metrics") or {}).items() if value is not None}
    version = (result.get("model") or {}).get("version")
    name = judge(metrics)
    told = f"version {version} in {duration(seconds)}"
    if name is None:
        return told
    guess = planned.look.label.guess if planned.look else None
    compared = (
        f" (always saying {planned.look.label.classes[0][0]}: {metric(name, guess)})" if planned.look and guess else ""
    )
    return f"{told}: {name} {metric(name, metrics[name])}" + (compared if "accuracy" in name else "")


@dataclass(slots=True)
class Address:
    """A model that answers at an address one can reach, in place of a service of the cluster."""

    url: str
    model: str
    process: "subprocess.Popen[bytes] | None" = None
    _signature: Signature | None = None

    @property
    def path(self) -> str:
        """The path of a prediction."""
        return f"v1/models/{self.model}:predict"

    @property
    def place(self) -> str:
        """What stands before the path."""
        return self.url.rstrip("/")

    def signature(self) -> Signature:
        """Return what the model takes and answers."""
        if self._signature is None:
            status, body = self._send(f"v1/models/{self.model}/metadata")
            if status != 200:
                raise Unreachable(f"{self.url} has no model {self.model}: {body.decode(errors='replace')[:200]}")
            self._signature = signature_of(self.model, json.loads(body))
        return self._signature

    def ask(self, instances: Sequence[Instance]) -> list[Prediction]:
        """Return the model's answer to each instance."""
        found: list[Prediction] = []
        for batch in batches(instances):
            status, body = self._send(self.path, body_of(batch))
            found += answers_in(status, body, self.signature())
        return found

    def example(self) -> Instance:
        """Return a row with nothing in it."""
        return example_of(self.signature())

    def wait(self) -> None:
        """Return when the server ends, or on Ctrl-C."""
        if self.process:
            with contextlib.suppress(KeyboardInterrupt):
                self.process.wait()

    def is_available(self) -> bool:
        """Whether a version of the model is available."""
        try:
            status, body = self._send(f"v1/models/{self.model}")
        except Unreachable:
            return False
        return status == 200 and b"AVAILABLE" in body

    def _send(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(f"{self.place}/{path}", body, {"Content-Type": "application/json"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as reply:  # noqa: S310
                return reply.status, reply.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self.url} does not answer: {getattr(error, 'reason', error)}") from error


@contextmanager
def served(folder: Path, *, port: int = 0) -> Iterator[Address]:
    """Serve a model version in a folder by a process of its own, until the block ends.

    Raises:
        Usage: the folder holds no model version.
        Failed: the server ended, with its last words.
    """
    version = newest_version(folder)
    described = json.loads((version / MANIFEST_FILE).read_text()) if (version / MANIFEST_FILE).exists() else {}
    name = str(described.get("name") or "model")
    python, rest = trainer_python(), port or _free_port()
    with tempfile.TemporaryDirectory(prefix="trainyard-serving-") as place:
        # A model server serves the newest version below a folder: here there is one only.
        (Path(place) / (version.name if version.name.isdigit() else "1")).symlink_to(version.absolute())
        flags = [
            f"--rest_api_port={rest}",
            f"--port={_free_port()}",
            f"--model_name={name}",
            f"--model_base_path={place}",
        ]
        log = Path(place) / "server.log"
        with log.open("wb") as output:
            command = [python, "-m", "trainyard_modelserver", *flags]
            process = subprocess.Popen(
                command, stdout=output, stderr=output, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
            )
        try:
            address = Address(f"http://127.0.0.1:{rest}", name, process)
            _await(address, log)
            yield address
        finally:
            process.terminate()
            process.wait(_SERVER_SECONDS)


def newest_version(folder: Path) -> Path:
    """Return the folder itself where it is a model version, else its newest version.

    Raises:
        Usage: it is neither.
    """
    if (folder / "saved_model.pb").exists():
        return folder
    versions = [each for each in folder.glob("*") if each.name.isdigit() and (each / "saved_model.pb").exists()]
    if not versions:
        raise Usage(
            f"{folder} holds no model version: expected a folder with saved_model.pb, such as trainyard-out/churn/1"
        )
    return max(versions, key=lambda each: int(each.name))


def _await(address: Address, log: Path) -> None:
    deadline = time.monotonic() + _SERVER_SECONDS
    while not address.is_available():
        assert address.process is not None
        if address.process.poll() is not None:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            last = re.sub(r"^ModuleNotFoundError: ", "", lines[-1]) if lines else "it said nothing"
            raise Failed(f"the model server ended: {last}")
        if time.monotonic() > deadline:
            raise TimedOut(f"the model server did not answer in {_SERVER_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])
