"""A training, or a service that comes up, while one watches: a panel on a terminal, lines elsewhere."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainyard.history import Epoch, History, lower_is_better
from trainyard.job import Job
from trainyard.screen.words import duration, is_ascii, judge, metric, number, sparkline
from trainyard.service import Service
from trainyard_api.trainingjob import TrainingJobStatus

LABEL_WIDTH = 16
_BAR_WIDTH = 38
_LINE_SECONDS = 10.0
_CELL_COLUMNS = 90
_STYLES = {"Succeeded": "green", "Ready": "green", "Failed": "red", "Degraded": "red", "Running": "cyan"}


@dataclass(slots=True)
class Watched:
    """What was seen of a training so far: for the curve, and for when a line is due."""

    history: dict[int, dict[str, float]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    line_at: float = 0.0
    phase: str = ""
    line: str = ""

    def see(self, status: TrainingJobStatus) -> None:
        """Remember the metrics of the newest epoch."""
        progress = status.progress
        if progress is None:
            return
        metrics = {name: float(value) for name, value in progress.metrics.items()}
        metrics |= {"loss": float(progress.loss)} if progress.loss else {}
        if metrics:
            self.history[progress.epoch] = metrics

    def line_due(self, name: str, phase: str, why: str, status: TrainingJobStatus) -> str | None:
        """Return the line to print where there is no panel; None where nothing much has changed."""
        now, line = time.monotonic(), plain_line(name, phase, why, status)
        if line == self.line or (phase == self.phase and now < self.line_at):
            return None
        self.phase, self.line, self.line_at = phase, line, now + _LINE_SECONDS
        return line

    def to_history(self) -> History:
        """Return what was seen as a history."""
        return History(tuple(Epoch(number, metrics) for number, metrics in sorted(self.history.items())))


def follow_job(
    job: Job, *, timeout: float | None = None, console: Console | None = None, guess: float | None = None
) -> Job:
    """Show a training until it has ended.

    Args:
        job: The training.
        timeout: Seconds to watch at most.
        console: Where to show it; a notebook's cell where there is one.
        guess: The accuracy of always saying the most frequent class, to compare with.
    """
    console = console or Console()
    watched = Watched()
    with showing(console) as show:
        for seen in job.changes(timeout=timeout):
            watched.see(seen.status)
            if show:
                show(job_panel(seen, watched, ascii_only=is_ascii(console), guess=guess))
            elif line := watched.line_due(seen.name, seen.phase, seen.why, seen.status):
                console.print(line, highlight=False, soft_wrap=True)
    return job


def follow_service(service: Service, *, timeout: float | None = None, console: Console | None = None) -> Service:
    """Show a service until it is ready."""
    console = console or Console()
    began, last = time.monotonic(), ""
    with showing(console) as show:
        for seen in service.changes(timeout=timeout):
            line = service_line(seen, time.monotonic() - began)
            if show:
                show(line)
            elif (state := f"{seen.phase} {seen.is_ready} {seen.why}") != last:
                last = state
                console.print(line, highlight=False, soft_wrap=True)
    return service


@contextmanager
def showing(console: Console) -> Iterator[Callable[[RenderableType], None] | None]:
    """Yield what replaces the view on a terminal or in a notebook; None where lines are to be printed instead."""
    if console.is_jupyter:
        yield _cell()
        return
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        yield live.update


def _cell() -> Callable[[RenderableType], None]:
    """Return what replaces the view in a notebook's cell: rich's own way needs a further package there."""
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)

    def show(view: RenderableType) -> None:
        page = Console(record=True, file=io.StringIO(), width=_CELL_COLUMNS, force_jupyter=False, force_terminal=True)
        page.print(view)
        handle.update(HTML(page.export_html(inline_styles=True, code_format="<pre>{code}</pre>")))

    return show


def labelled(label: str, value: RenderableType, *, style: str = "bold") -> RenderableType:
    """Return a line with its label in the first column, as every screen has it; a long label moves its text.

    What has no spaces, such as an address, stays on one line however long: it is to be copied.
    """
    if isinstance(value, Text) and not any(character.isspace() for character in value.plain):
        whole = Text.assemble((f"{label:<{LABEL_WIDTH}}", style), value)
        whole.no_wrap, whole.overflow = True, "ignore"
        return whole
    if len(label) >= LABEL_WIDTH and isinstance(value, Text):
        return Text.assemble((label, style), "  ", value)
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=LABEL_WIDTH - 1, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label, style=style), value)
    return grid


def job_panel(job: Job, watched: Watched, *, ascii_only: bool = False, guess: float | None = None) -> RenderableType:
    """Return the live view of a training: how far it is, its loss, and the metric to judge it by."""
    return status_panel(job.status, job.phase, job.why, watched, ascii_only=ascii_only, guess=guess)


def status_panel(
    status: TrainingJobStatus,
    phase: str,
    why: str,
    watched: Watched,
    *,
    ascii_only: bool = False,
    guess: float | None = None,
) -> RenderableType:
    """Return the live view of a training by its status."""
    progress = status.progress
    if progress is None:
        waiting = Text(phase.lower(), style=_STYLES.get(phase, "yellow"))
        facts = [_run(status) if status.run else "", why]
        return labelled("training", waiting.append("".join(f"  {fact}" for fact in facts if fact), style="default"))
    bar = Table.grid(padding=(0, 2))
    bar.add_column(width=_BAR_WIDTH)
    bar.add_column(no_wrap=True, justify="right", width=5)
    bar.add_column(overflow="fold")
    done = progress.percent if phase != "Succeeded" else 100
    facts = [_run(status)] if status.run else []
    facts += [f"epoch {progress.summary}"] if progress.summary else []
    facts += [f"{progress.eta} left"] if progress.eta and phase == "Running" else []
    facts += [phase.lower()] if phase not in ("Running", "Succeeded") else []
    shown: RenderableType = ProgressBar(100, done, width=_BAR_WIDTH)
    if ascii_only:
        shown = Text("#" * (done * _BAR_WIDTH // 100) + "-" * (_BAR_WIDTH - done * _BAR_WIDTH // 100))
    bar.add_row(shown, f"{done} %", "  ".join(facts))
    history = watched.to_history()
    lines: list[RenderableType] = [bar]
    metrics = {name: float(value) for name, value in progress.metrics.items()}
    loss = [value for _, value in history.series("loss")]
    if progress.loss:
        lines.append(labelled("loss", Text(f"{number(progress.loss):<9} {sparkline(loss, 24, ascii_only=ascii_only)}")))
    if (name := judge(metrics)) and name in metrics:
        text = Text(f"{metric(name, metrics[name]):<9} ")
        best = history.best(name)
        if best and best[1] != metrics[name]:
            text.append(f"best {metric(name, best[1])} at epoch {best[0]}", style="dim")
        if guess is not None and "accuracy" in name:
            text.append(f"   guess: {metric(name, guess)}", style="dim")
        lines.append(labelled(name, text))
    return Group(*lines)


def plain_line(name: str, phase: str, why: str, status: TrainingJobStatus) -> str:
    """Return a training in one plain line."""
    progress = status.progress
    parts = [name, phase, *([_run(status)] if status.run else [])]
    if progress:
        parts += [f"epoch {progress.summary}"] if progress.summary else []
        parts += [f"loss {number(progress.loss)}"] if progress.loss else []
        judged = judge(progress.metrics)
        parts += [f"{judged} {metric(judged, progress.metrics[judged])}"] if judged else []
        parts += [f"{progress.eta} left"] if progress.eta and phase == "Running" else []
    elif why:
        parts.append(why)
    return "  ".join(parts)


def _run(status: TrainingJobStatus) -> str:
    """Return which run this is, and what became of the one before."""
    if not status.runs:
        return f"run {status.run}"
    former = status.runs[-1]
    made = f" with version {former.version}" if former.version is not None else ""
    return f"run {status.run} (run {former.run} {former.outcome.lower()}{made})"


def service_line(service: Service, seconds: float) -> Text:
    """Return a service in one line: what it serves, or why it does not yet."""
    status = service.status
    line = Text(f"{service.name:<{LABEL_WIDTH}}", style="bold")
    if service.is_ready and status.current:
        line.append(f"version {status.current.model_version} answers on {status.ready} pods", style="green")
        return line.append(f"   {duration(seconds)}", style="dim")
    line.append(service.phase.lower(), style=_STYLES.get(service.phase, "yellow"))
    return line.append(f"  {service.why}" if service.why else "", style="default")


def verdict(job: Job, *, seconds: float | None, guess: float | None = None, label: str | None = None) -> str:
    """Return how a training that succeeded has done, in one sentence, compared with guessing."""
    status = job.status
    version = f"version {status.model.version}" if status.model else "no version"
    took = f" in {duration(seconds)}" if seconds is not None else ""
    metrics = job.metrics
    name = judge(metrics)
    if name is None:
        return f"{version}{took}"
    told = f"{version}{took}: {name} {metric(name, metrics[name])}"
    if guess is None or "accuracy" not in name:
        return told + (" (lower is better)" if lower_is_better(name) else "")
    difference = metrics[name] - guess
    better = "better" if difference > 0 else "worse"
    return f"{told}, {metric(name, abs(difference))} {better} than always saying {label}"
