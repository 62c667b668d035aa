"""Runs the trials of a search, some at a time, and picks the best one."""

import os
import shutil
import time
from dataclasses import replace

from trainyard_api import names
from trainyard_trainer.devices import usable_memory
from trainyard_trainer.errors import BadInput, Stopped, TrainerError, one_line
from trainyard_trainer.reporting.event_log import EventLog
from trainyard_trainer.reporting.progress_server import ProgressTracker
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.spec import Run, tuning_folder
from trainyard_trainer.stores.searches import StoredSearch
from trainyard_trainer.tasks.metrics import check_metric, is_better_higher
from trainyard_trainer.tree_settings import most_epochs
from trainyard_trainer.tuning.space import Choice, SearchSpace
from trainyard_trainer.tuning.study import Study
from trainyard_trainer.tuning.summary import shown
from trainyard_trainer.tuning.trials import Trial, Trials
from trainyard_trainer.tuning.worker import LOG_FILE, TrialFolder, TrialProcess, TrialResources

LOOK_SECONDS = 0.2
TABLE_FILE = "trials.csv"
BEST_SHOWN = 5
_HOPELESS = 3
"""A search ends where this many trials have failed and none has come to anything."""


class Search:
    """One search. `folder` is where it keeps its trials while it runs, `store` what outlives that folder, if it must.

    Raises:
        BadInput: the parameters do not fit the spec, or no trial would have the objective.
        StoreUnavailable: whether an earlier pod has begun this search cannot be found out.
    """

    def __init__(
        self, run: Run, store: StoredSearch | None, *, tracker: ProgressTracker, event_log: EventLog, stop: StopSignal
    ) -> None:
        assert run.job.spec.tuning is not None
        self._run, self._store, self._tracker, self._event_log, self._stop = run, store, tracker, event_log, stop
        self._tuning, self._epochs = run.job.spec.tuning, most_epochs(run.job.spec)
        objective = self._tuning.objective
        self.metric = objective.name
        self.higher = objective.direction == "max" if objective.direction else is_better_higher(self.metric)
        self.folder = tuning_folder(run)
        self._space = SearchSpace(run.job)
        check_metric("tuning.objective.name", self.metric, self._space.metrics)
        self._study = Study(
            self._tuning, self._space, higher=self.higher, epochs=self._epochs, seed=run.job.spec.fit.seed
        )
        self._trials = self._known_trials()
        self._running: dict[int, TrialProcess] = {}
        self._pruned: set[int] = set()
        size = self._space.size
        self._wanted = self._tuning.max_trials if size is None else min(self._tuning.max_trials, size)

    def best(self) -> tuple[Run, dict[str, object]]:
        """Run all trials; returns the run that exports the best one, and what to tell of the search.

        Raises:
            BadInput: no trial came to anything.
            Stopped: on request; the trials go on from their checkpoints the next time.
        """
        self._study.take_over(self._trials)
        if self._wanted < self._tuning.max_trials:
            self._event_log.write(
                "few-trials",
                f"tuning.parameters allow {self._wanted} different trials, fewer than maxTrials "
                f"({self._tuning.max_trials}): each is run once",
                trials=self._wanted,
            )
        with self._stop.deferred():
            try:
                self._work()
            finally:
                self._end_processes()
        ranked = self._trials.best_first(higher=self.higher)
        if not ranked:
            raise BadInput(f"no trial of the tuning came to an end: {self._first_failure()}")
        best = ranked[0]
        self._event_log.write(
            "tuned",
            f"the best of {len(self._trials)} trials is {best.number}: "
            f"{self.metric} {best.value:.6g} with {shown(best.choice)}",
            trial=best.number,
            parameters=self._settings(best.choice),
        )
        return self._run_of(best), self._describe(ranked)

    def _known_trials(self) -> Trials:
        """Return what an earlier run has tried; a trial that was running begins again where its folder is lost."""
        path = self.folder / "trials.json"
        if self._store:
            self._store.fetch(path)
        trials = Trials.load(path)
        for trial in trials:
            if not trial.ended and not self._folder(trial).path.exists():
                trials.reached(trial.number, ())
        return trials

    def _work(self) -> None:
        for trial in self._trials:
            if not trial.ended:
                self._start(trial)
        exhausted = False
        while True:
            while not exhausted and len(self._running) < self._tuning.parallel_trials:
                exhausted = not self._start_next()
            if not self._running:
                return
            time.sleep(LOOK_SECONDS)
            for number in list(self._running):
                self._look_at(number)
            if self._stop.requested:
                self._end_processes()
                self._keep()
                raise Stopped(f"stopped on request with {self._ended()} of {self._wanted} trials ended")
            if self._hopeless():
                return

    def _start_next(self) -> bool:
        """Start another trial; returns whether there was one to start."""
        number = len(self._trials)
        choice = self._study.propose(number) if number < self._wanted and not self._hopeless() else None
        if choice is None:
            return False
        self._start(self._trials.put(Trial(number, choice)))
        return True

    def _start(self, trial: Trial) -> None:
        try:
            job = self._space.job(trial.choice)
        except BadInput as error:
            self._note_end(self._trials.end(trial.number, "failed", message=str(error)))
            return
        slot = trial.number % self._tuning.parallel_trials
        env = {**os.environ, names.MODEL_DIR_ENV: str(self._run.folders.model)}
        self._running[trial.number] = TrialProcess(job, self._folder(trial), self._resources(slot), env)

    def _look_at(self, number: int) -> None:
        process, folder = self._running[number], self._folder(number)
        code = process.exit_code  # first: what is read after it has ended is all there is
        trial = self._trials[number]
        values = folder.values(self.metric)
        for epoch, value in list(enumerate(values, start=1))[len(trial.values) :]:
            trial = self._trials.reached(number, values[:epoch])
            if self._study.falls_behind(number, epoch, value) and code is None and number not in self._pruned:
                self._pruned.add(number)
                process.stop()
        if code is not None:
            del self._running[number]
            self._note_end(self._judged(trial, code))
        self._show()

    def _judged(self, trial: Trial, code: int) -> Trial:
        report = self._folder(trial).report()
        value = report.get("metrics", {}).get(self.metric)
        if code == names.EXIT_DONE and value is not None:
            return self._trials.end(trial.number, "complete", value=value)
        if code == names.EXIT_DONE:
            known = ", ".join(report.get("metrics", {}))
            raise BadInput(
                f"tuning.objective.name is {self.metric!r}, which the trials do not have (they have {known})"
            )
        if trial.number in self._pruned:
            return self._trials.end(trial.number, "pruned", value=trial.values[-1], message="fell behind")
        if code == names.EXIT_STOPPED:
            return trial
        message = report.get("message") or f"exited with {code}; see {LOG_FILE} of the trial"
        return self._trials.end(trial.number, "failed", message=message)

    def _note_end(self, trial: Trial) -> None:
        if not trial.ended:  # somebody else stopped it: it goes on where it was
            self._start(trial)
            return
        self._study.ended(trial)
        self._keep()
        if trial.state != "complete":
            shutil.rmtree(self._folder(trial).checkpoints, ignore_errors=True)
        came = f"{self.metric} {trial.value:.6g}" if trial.value is not None else trial.message
        self._event_log.write(
            "trial",
            f"trial {trial.number} ({self._ended()}/{self._wanted}) {trial.state}: {came} with {shown(trial.choice)}",
            trial=trial.number,
            state=trial.state,
            parameters=self._settings(trial.choice),
        )

    def _keep(self) -> None:
        """Write what is known of the trials; what cannot be uploaded now is uploaded after the next trial."""
        table = self._run.folders.logs / TABLE_FILE
        self._trials.write_table(table, list(self._space.distributions), self.metric)
        if self._store is None:
            return
        best = next(map(self._folder, self._trials.best_first(higher=self.higher)), None)
        try:
            if best:
                self._store.keep_best(best.path, best.for_export())
            self._store.keep(self._trials.path, table)
            if best:
                self._store.drop_others(best.path)
        except TrainerError as error:
            self._event_log.write("not-kept", f"the trials so far are not in the store yet: {one_line(error)}")

    def _show(self) -> None:
        whole = self._epochs or 1  # where each trial finds out for itself, trials are counted
        done = sum(whole if each.ended else min(len(each.values), whole - 1) for each in self._trials)
        ranked = self._trials.best_first(higher=self.higher)
        self._tracker.step_ended(
            phase="training",
            epoch=done,
            epochs=self._wanted * whole,
            step=done,
            steps=self._wanted * whole,
            metrics={self.metric: ranked[0].value} if ranked else {},
        )

    def _end_processes(self) -> None:
        for process in self._running.values():
            process.stop()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def _resources(self, slot: int) -> TrialResources:
        parallel = self._tuning.parallel_trials
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        gpus = self._run.job.spec.roles.worker.gpus
        whole = self._run.cache_bytes if self._run.cache_bytes is not None else usable_memory() // 8
        return TrialResources(
            cpus=cpus[slot::parallel] or [cpus[slot % len(cpus)]] if cpus else [],
            cache_bytes=whole // parallel,
            gpu=slot % gpus if gpus > 1 and parallel > 1 else None,
        )

    def _run_of(self, best: Trial) -> Run:
        """Return the run whose checkpoint says that its training is over, so that only the export is left."""
        folder = self._folder(best)
        if self._store:
            self._store.fetch_trial(folder.path)
        shutil.copytree(folder.logs, self._run.folders.logs, dirs_exist_ok=True)
        folders = replace(self._run.folders, checkpoints=folder.checkpoints)
        job = self._space.job(best.choice)
        return replace(self._run, job=job, program=job.spec.program.model or self._run.program, folders=folders)

    def _describe(self, ranked: list[Trial]) -> dict[str, object]:
        return {
            "algorithm": self._tuning.algorithm,
            "objective": {"name": self.metric, "direction": "max" if self.higher else "min"},
            "trials": len(self._trials),
            "best": [
                {"trial": trial.number, "value": trial.value, "parameters": self._settings(trial.choice)}
                for trial in ranked[:BEST_SHOWN]
            ],
        }

    def _hopeless(self) -> bool:
        failed = sum(trial.state == "failed" for trial in self._trials)
        return failed >= _HOPELESS and failed == self._ended()

    def _first_failure(self) -> str:
        return next((trial.message for trial in self._trials if trial.state == "failed"), "none was started")

    def _ended(self) -> int:
        return sum(trial.ended for trial in self._trials)

    def _folder(self, trial: Trial | int) -> TrialFolder:
        number = trial if isinstance(trial, int) else trial.number
        return TrialFolder(self.folder / f"trial-{number:05d}")

    def _settings(self, choice: Choice) -> dict[str, object]:
        return {name: self._space.value(name, value) for name, value in choice.items()}
