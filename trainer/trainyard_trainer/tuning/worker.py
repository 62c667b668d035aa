"""One trial as a process of its own: a trainer that trains but does not export."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard_api import names
from trainyard_api.trainingjob import TrainingJob
from trainyard_trainer.reporting.history import HISTORY_FILE
from trainyard_trainer.spec import CACHE_ENV

SPEC_FILE, REPORT_FILE, LOG_FILE = "spec.json", "report.json", "log.txt"


@dataclass(frozen=True, slots=True)
class TrialResources:
    """The part of the pod that one trial may use: CPUs, the data it may keep in memory (bytes), and a GPU."""

    cpus: Sequence[int]
    cache_bytes: int
    gpu: int | None


@dataclass(frozen=True, slots=True)
class TrialFolder:
    """Where one trial keeps everything."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def for_export(self) -> Iterator[Path]:
        """Yield the files that its export needs: the last checkpoint and the logs."""
        yield from sorted(self.checkpoints.glob("step-*.ckpt"))[-1:]
        yield from sorted(path for path in self.logs.rglob("*") if path.is_file())

    def values(self, metric: str) -> tuple[float, ...]:
        """Return the metric after each epoch so far, NaN where there is none of that name.

        A line that is being written does not count yet.
        """
        try:
            text = (self.logs / HISTORY_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
        return tuple(float(row.get(metric) or "nan") for row in rows)

    def report(self) -> dict[str, Any]:
        """Return what it left behind as its result; nothing where it was killed."""
        try:
            return dict(json.loads((self.path / REPORT_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}


class TrialProcess:
    """A running trial."""

    def __init__(
        self, job: TrainingJob, folder: TrialFolder, resources: TrialResources, env: Mapping[str, str]
    ) -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        (folder.path / REPORT_FILE).unlink(missing_ok=True)
        spec = folder.path / SPEC_FILE
        spec.write_text(json.dumps(job.to_wire()), encoding="utf-8")
        own = {
            names.CHECKPOINT_DIR_ENV: str(folder.checkpoints),
            names.LOG_DIR_ENV: str(folder.logs),
            names.TERMINATION_MESSAGE_ENV: str(folder.path / REPORT_FILE),
            names.PORT_ENV: "",
            CACHE_ENV: str(resources.cache_bytes),
        } | ({"CUDA_VISIBLE_DEVICES": str(resources.gpu)} if resources.gpu is not None else {})
        with (folder.path / LOG_FILE).open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "trainyard_trainer", "--trial", str(spec)],
                env={**env, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if hasattr(os, "sched_setaffinity"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(self._popen.pid, resources.cpus)

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative where a signal ended it, or nothing while it runs."""
        return self._popen.poll()

    def stop(self) -> None:
        """Ask it to save and leave."""
        self._popen.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it is gone."""
        self._popen.wait()
