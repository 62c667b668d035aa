"""One object on one page: what it does, why it is not ready, how it came there, and what to do next."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trainyard.cluster import Manifest
from trainyard.history import History
from trainyard.job import Job
from trainyard.screen.listing import STATE_STYLES, table_of
from trainyard.screen.live import labelled
from trainyard.screen.words import age, between, duration, is_better, judge, metric, number, size, sparkline
from trainyard.service import Service
from trainyard_api.trainingjob import TrainingJobSpec

MOST_EVENTS = 8


def job_story(
    job: Job, *, history: History, events: Sequence[Manifest], before: Job | None, ascii_only: bool = False
) -> RenderableType:
    """Return the page of a training.

    Args:
        job: The training.
        history: Its metrics epoch by epoch.
        events: What happened to it, oldest first.
        before: The training of the version before, to compare with.
        ascii_only: Draw with ASCII.
    """
    status, spec = job.status, job.resource.spec
    parts: list[RenderableType] = [_headline(job.name, job.phase, _job_sentence(job))]
    if job.why:
        parts.append(labelled("why", Text(job.why, style="red" if job.phase == "Failed" else "default")))
    parts += [labelled("trains", Text(_program(spec))), labelled("data", Text(_data(spec)))]
    if progress := status.progress:
        facts = [f"{progress.percent} %", f"epoch {progress.summary}" if progress.summary else ""]
        facts += [f"{progress.samples_per_second:,} rows a second" if progress.samples_per_second else ""]
        parts.append(labelled("progress", Text("   ".join(filter(None, facts)))))
    parts += _metrics(job, history, before, ascii_only=ascii_only)
    if status.last_checkpoint:
        saved = status.last_checkpoint
        parts.append(labelled("checkpoint", Text(f"step {saved.step}, {age(saved.time)} ago")))
    if status.model:
        model = status.model
        parts.append(labelled("model", Text(f"{model.uri}   {size(model.size_bytes)}   {model.digest[:19]}")))
    if len(status.attempts) > 1 or job.phase == "Failed":
        parts.append(labelled("attempts", _attempts(job)))
    if status.runs:
        parts.append(labelled("runs before", _former_runs(job)))
    if status.next_schedule_time:
        parts.append(labelled("next run", Text(status.next_schedule_time)))
    parts += _events(events)
    parts += [Text(""), *next_steps(_job_steps(job))]
    return Group(*parts)


def service_story(service: Service, *, events: Sequence[Manifest]) -> RenderableType:
    """Return the page of a service."""
    status = service.status
    parts: list[RenderableType] = [_headline(service.name, service.phase, _service_sentence(service))]
    if service.why:
        parts.append(labelled("why", Text(service.why, style="red" if service.phase == "Degraded" else "default")))
    for title, revision in (("serves", status.current), ("brings up", status.next)):
        if revision:
            came = f" of {revision.training_job}" if revision.training_job else ""
            text = f"version {revision.model_version}{came}, {revision.ready} pods answer"
            parts.append(labelled(title, Text(f"{text}\n{revision.uri}")))
    if status.url:
        parts.append(labelled("http", Text(f"{status.url}:predict")))
    if status.grpc:
        parts.append(labelled("grpc", Text(status.grpc)))
    parts.append(labelled("replicas", Text(status.ready)))
    parts += _events(events)
    steps = {f"trainyard predict {service.name} --example": "try it"} if status.current else {}
    parts += [Text(""), *next_steps(steps | {f"kubectl describe ms {service.name}": "every condition"})]
    return Group(*parts)


def next_steps(commands: dict[str, str]) -> Iterator[RenderableType]:
    """Yield the commands that come next, with what each does."""
    grid = Table.grid(padding=(0, 3))
    grid.add_column(no_wrap=True, style="cyan")
    grid.add_column(style="dim")
    for command, purpose in commands.items():
        grid.add_row(command, purpose)
    yield grid


def _headline(name: str, phase: str, sentence: str) -> Text:
    return Text.assemble((name, "bold"), " ", (sentence, STATE_STYLES.get(phase, "default")))


def _job_sentence(job: Job) -> str:
    status = job.status
    took = between(status.start_time, status.completion_time)
    since = age(status.start_time or job.manifest["metadata"].get("creationTimestamp"))
    if job.phase == "Succeeded":
        version = f" version {status.model.version}" if status.model else ""
        return f"has trained{version}{f' in {duration(took)}' if took is not None else ''}"
    if job.phase == "Failed":
        return f"has failed{f' after {duration(took)}' if took is not None else ''}"
    words = {
        "Running": "trains",
        "Exporting": "exports its model",
        "Suspended": "is suspended",
        "Starting": "starts",
        "Pending": "waits",
    }
    return f"{words.get(job.phase, job.phase)} since {since}"


def _service_sentence(service: Service) -> str:
    current = service.status.current
    words = {
        "Ready": f"serves version {current.model_version if current else '?'}",
        "Progressing": "is being brought up",
        "Degraded": "has a problem",
        "Stopped": "is stopped: spec.replicas is 0",
        "Pending": "waits for a model",
    }
    return words.get(service.phase, service.phase)


def _program(spec: TrainingJobSpec) -> str:
    worker = spec.roles.worker
    where = f"{worker.replicas} pod{'s' if worker.replicas > 1 else ''}"
    where += f" with {worker.gpus} GPU{'s' if worker.gpus > 1 else ''} each" if worker.gpus else " without GPU"
    where += f", {spec.roles.ps.replicas} for weights and a chief" if spec.roles.ps else ""
    if spec.program.predict:
        model = spec.program.predict.model
        return f"predictions of {model.name or model.uri}, {where}"
    if spec.program.keras:
        what = f"family {spec.program.keras.family}, {spec.program.keras.task}"
    elif spec.program.python:
        what = "a Keras model of your own"
    else:
        what = f"image {spec.program.container.image}" if spec.program.container else "nothing"
    return f"{what}, up to {spec.fit.epochs} epochs, {where}"


def _data(spec: TrainingJobSpec) -> str:
    source = spec.data.source
    place = source.uri or ""
    if source.config_map:
        place = f"ConfigMap {source.config_map.name}"
    if source.persistent_volume_claim:
        place = f"claim {source.persistent_volume_claim.claim_name}, {source.persistent_volume_claim.path or '/'}"
    chosen = f", {len(spec.data.features)} columns" if spec.data.features else ""
    return f"{place}   label {spec.data.label_name}{chosen}"


def _metrics(job: Job, history: History, before: Job | None, *, ascii_only: bool) -> Iterator[RenderableType]:
    progress = job.status.progress
    loss = [value for _, value in history.series("loss")]
    if progress and progress.loss:
        curve = sparkline(loss, 30, ascii_only=ascii_only)
        yield labelled("loss", Text(f"{number(progress.loss):<9} {curve}"))
    metrics = job.metrics
    name = judge(metrics)
    if name is None:
        return
    text = Text(f"{metric(name, metrics[name]):<9}")
    if best := history.best(name):
        text.append(f" best {metric(name, best[1])} at epoch {best[0]}", style="dim")
    old = before.metrics.get(name) if before else None
    if before and old is not None:
        style = "green" if is_better(name, metrics[name], old) else "default"
        text.append(f"   {before.name}: {metric(name, old)}", style=style)
    yield labelled(name, text)


def _attempts(job: Job) -> RenderableType:
    table = table_of("N", "OUTCOME", "EXIT", "TOOK", "NODE")
    for attempt in job.status.attempts:
        took = between(attempt.started, attempt.ended)
        table.add_row(
            str(attempt.n),
            attempt.outcome,
            "-" if attempt.exit_code is None else str(attempt.exit_code),
            "-" if took is None else duration(took),
            attempt.node or "-",
        )
    return table


def _former_runs(job: Job) -> RenderableType:
    table = table_of("RUN", "OUTCOME", "VERSION", "ATTEMPTS", "TOOK", "ENDED", "RERUN")
    for former in job.status.runs:
        took = between(former.started, former.ended)
        why = f" ({former.reason})" if former.reason else ""
        table.add_row(
            str(former.run),
            f"{former.outcome}{why}",
            "-" if former.version is None else str(former.version),
            str(former.attempts),
            "-" if took is None else duration(took),
            f"{age(former.ended)} ago" if former.ended else "-",
            former.rerun or "-",
        )
    return table


def _events(events: Sequence[Manifest]) -> Iterator[RenderableType]:
    if not events:
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="dim", width=6)
    grid.add_column(overflow="fold")
    for event in events[-MOST_EVENTS:]:
        style = "yellow" if event.get("type") == "Warning" else "default"
        told = f"{event.get('reason')}: {event.get('message', '')}"
        grid.add_row(age(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]), Text(told, style=style))
    yield labelled("events", grid)


def _job_steps(job: Job) -> dict[str, str]:
    if job.phase == "Succeeded":
        return {f"trainyard deploy {job.name}": "serve it", f"trainyard card {job.name}": "read what it learnt"}
    if job.phase == "Failed":
        return {f"trainyard logs {job.name}": "its last words", f"trainyard rerun {job.name} --set …": "try again"}
    return {f"trainyard watch {job.name}": "follow it", f"trainyard logs -f {job.name}": "its log"}


def version_before(job: Job, others: Iterable[Job]) -> Job | None:
    """Return the newest other training of the same model that was done before this one."""
    done = [
        other
        for other in others
        if other.name != job.name
        and other.model_name == job.model_name
        and other.phase == "Succeeded"
        and other.manifest["metadata"]["creationTimestamp"] <= job.manifest["metadata"]["creationTimestamp"]
    ]
    return max(done, key=lambda other: str(other.manifest["metadata"]["creationTimestamp"]), default=None)
