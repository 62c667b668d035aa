"""`python -m trainyard_trainer [SPEC]`: train what a TrainingJob describes, in a pod or on a laptop.

Exits with 0 when a model version is complete, 2 on bad input, 3 when the training diverged, 75 when it was stopped on
request after a checkpoint, 69 when another worker is gone, and another code on failures that may pass.
"""

import argparse
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TextIO

from trainyard_api import names
from trainyard_api.prediction import PredictProgram
from trainyard_api.trainingjob import TrainingJob
from trainyard_trainer.errors import PeerLost, Stopped, TrainerError, one_line
from trainyard_trainer.export.verify import Verifier
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker, serve
from trainyard_trainer.reporting.result import ModelVersion, PredictedFiles, termination_message, write_report
from trainyard_trainer.serve import serve_chief
from trainyard_trainer.signals import StopSignal, end_with_parent
from trainyard_trainer.spec import Run, read_job, run_of, spec_file, terms
from trainyard_trainer.tree_settings import most_epochs
from trainyard_trainer.workers.cluster import Cluster
from trainyard_trainer.workers.group import WorkerGroup
from trainyard_trainer.workers.parameter_server import ChiefGroup, FollowerGroup
from trainyard_trainer.workers.rendezvous import SINGLE_PROCESS, Invitation, join_group

EXIT_FAILED = 1
LOSS_SECONDS = 15.0
"""How long the other workers may take to say who was lost, after TensorFlow has noticed that somebody was."""
_TENSORFLOW = "tensorflow."


class TrainerProcess:
    """One run of the trainer: everything it says, and its exit code."""

    def __init__(
        self, env: Mapping[str, str], *, verifier: Callable[[], AbstractContextManager[Verifier]] = Verifier
    ) -> None:
        self._env, self._verifier = env, verifier
        self._tracker = ProgressTracker()
        self._event_log = EventLog(sys.stdout)
        self._complaints = _kept(sys.stderr)
        self._stop = StopSignal(leave=self._leave)
        self._rendezvous = SINGLE_PROCESS
        self._ending = threading.RLock()  # a signal may come while this very thread is ending

    def run(self, spec: str | None, *, trial: bool = False) -> int:
        """Train; returns the exit code. A trial of a search does not outlive the process that started it."""
        if trial:
            end_with_parent()
        self._stop.install()
        try:
            job = read_job(spec, self._env)
            if job.spec.program.predict:
                return self._predict(job, job.spec.program.predict)
            run = run_of(job, self._env, spec_file(spec, self._env))
            self._tracker.update(epochs=most_epochs(run.job.spec) or 0)
            if run.port is not None:
                self._serve(run.port)
            self._event_log.write("starting", f"training {run.job.model_name}", job=run.name, uid=run.uid)
            from trainyard_trainer.train import train  # Arrow's import is not waited for before progress is served

            self._meet(run)
            if isinstance(group := self._rendezvous.group, FollowerGroup):
                self._tracker.update(phase="training")
                done = serve_chief(run.cluster, self._rendezvous.addresses, group, stop=self._stop)
                self._tracker.update(phase="done")
                return self._end("Served", done, names.EXIT_DONE)
            outcome = train(
                run,
                tracker=self._tracker,
                event_log=self._event_log,
                stop=self._stop,
                trial=trial,
                rendezvous=self._rendezvous,
                verifier=self._verifier,
            )
        except TrainerError as error:
            return self._end(error.reason, str(error), error.exit_code)
        # The outermost frame: whatever it is must reach the log and the operator. A user's layer may call sys.exit(0).
        except (Exception, SystemExit) as error:
            # What TensorFlow says when a worker is gone does not say which one; the group finds that out.
            theirs = type(error).__module__.startswith(_TENSORFLOW)
            if loss := self._rendezvous.group.loss(within=LOSS_SECONDS if theirs else 0):
                return self._end(loss.reason, str(loss), loss.exit_code)
            traceback.print_exc()
            return self._end("Failed", f"{type(error).__name__}: {error}", EXIT_FAILED)
        return self._end(outcome.reason, outcome.message, names.EXIT_DONE, outcome.model)

    def _predict(self, job: TrainingJob, program: PredictProgram) -> int:
        """Predict a data set instead of training; returns the exit code."""
        from trainyard_trainer.prediction.predict import predict  # Arrow's import is for those who need it
        from trainyard_trainer.prediction.request import request_of

        request = request_of(job, program, self._env)
        if request.port is not None:
            self._serve(request.port)
        self._event_log.write("starting", f"predicting for {job.metadata['name']}", uid=request.uid)
        found = predict(request, tracker=self._tracker, event_log=self._event_log, stop=self._stop)
        left_out = f" ({found.bad_rows:,} bad rows were left out)" if found.bad_rows else ""
        message = f"predicted {found.rows:,} rows{left_out} with {found.model}, into {request.folder}"
        return self._end("Predicted", message, names.EXIT_DONE, predictions=found)

    def _meet(self, run: Run) -> None:
        """Wait for the other workers, where there are any."""
        cluster = run.cluster
        if cluster.count == 1:
            return
        self._event_log.write(
            "meeting",
            f"{cluster.name(cluster.index)} of {cluster.count} waits for the others",
            worker=cluster.index,
            workers=cluster.count,
        )
        self._rendezvous = join_group(
            cluster,
            # The API server's uid is known to those who may read the job, and to its pods.
            Invitation(terms(run), secret=str(run.job.metadata.get("uid") or "")),
            seconds=run.startup_seconds,
            abandon=self._abandon,
            join=self._join(cluster) if cluster.is_asynchronous else None,
        )
        self._event_log.write("met", f"all {cluster.count} are there", addresses=list(self._rendezvous.addresses))

    def _join(self, cluster: Cluster) -> Callable[[Mapping[int, socket.socket]], WorkerGroup]:
        if not cluster.is_chief:
            return partial(FollowerGroup, cluster=cluster, abandon=self._abandon)

        def missed(what: str) -> None:
            self._event_log.write("worker-lost", f"{what}; the others do its steps")

        return partial(ChiefGroup, cluster=cluster, asked=self._stop.ask, missed=missed, abandon=self._abandon)

    def _abandon(self, loss: PeerLost) -> None:
        """End the process from a thread: the program itself waits inside TensorFlow, and would for ever."""
        os._exit(self._end(loss.reason, str(loss), loss.exit_code))

    def _serve(self, port: int) -> None:
        try:
            serve(self._tracker, port)
        except OSError as error:
            self._event_log.write("no-progress-server", f"cannot serve progress on port {port}: {one_line(error)}")

    def _end(
        self,
        reason: str,
        message: str,
        code: int,
        model: ModelVersion | None = None,
        predictions: PredictedFiles | None = None,
    ) -> int:
        if not self._ending.acquire(blocking=False):
            threading.Event().wait()  # another thread is about to end the process
        message = one_line(message)
        if code != names.EXIT_DONE:
            self._rendezvous.group.leave(f"{reason}: {message}")
        self._event_log.write(
            "done" if code == names.EXIT_DONE else "stopped" if code == names.EXIT_STOPPED else "failed",
            message,
            reason=reason,
            exitCode=code,
            **({"model": model.to_wire(), "metrics": dict(self._tracker.current.metrics)} if model else {}),
            **({"predictions": predictions.to_wire()} if predictions else {}),
        )
        if code != names.EXIT_DONE:
            print(f"{reason}: {message}", file=self._complaints, flush=True)
        document = termination_message(reason, message, self._tracker.current, model, predictions)
        try:
            write_report(self._env.get(names.TERMINATION_MESSAGE_ENV), document)
        except OSError as error:
            print(f"cannot write the termination message: {one_line(error)}", file=self._complaints, flush=True)
        return code

    def _leave(self) -> None:
        if isinstance(group := self._rendezvous.group, FollowerGroup):
            group.ask_to_stop()
            return
        code = self._end(Stopped.reason, f"stopped on request while {self._tracker.current.phase}", Stopped.exit_code)
        os._exit(code)


def _kept(stream: TextIO) -> TextIO:
    """Return a stream that also writes while TensorFlow is kept quiet, which takes the file of stderr away."""
    try:
        return os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8", errors="backslashreplace")
    except OSError:  # it is no file
        return stream


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trainer with command line arguments; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m trainyard_trainer", description="Train the model that a TrainingJob describes."
    )
    parser.add_argument("spec", nargs="?", help=f"TrainingJob as JSON or YAML; by default ${names.SPEC_ENV}")
    parser.add_argument("--trial", action="store_true", help="train only, as one trial of a search; export nothing")
    given = parser.parse_args(arguments)
    return TrainerProcess(os.environ).run(given.spec, trial=given.trial)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Native threads of TensorFlow can hang in the interpreter's own shutdown.
    os._exit(status)
