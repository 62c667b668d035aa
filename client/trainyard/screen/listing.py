"""Trainings and services as tables."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trainyard.job import Job
from trainyard.screen.words import age, judge, metric, number, short_metric
from trainyard.service import Service

STATE_STYLES = {
    "Succeeded": "green",
    "Ready": "green",
    "Running": "cyan",
    "Exporting": "cyan",
    "Progressing": "cyan",
    "Failed": "red",
    "Degraded": "red",
    "Suspended": "yellow",
    "Stopped": "yellow",
    "Pending": "yellow",
    "Starting": "yellow",
}


def listing(
    jobs: Sequence[Job],
    services: Sequence[Service],
    *,
    wide: bool = False,
    namespaces: bool = False,
    now: datetime | None = None,
) -> RenderableType:
    """Return the tables of trainings and services."""
    parts: list[RenderableType] = []
    if jobs:
        parts.append(_jobs(jobs, wide=wide, namespaces=namespaces, now=now))
        parts += [_note(job.name, job.why) for job in jobs if job.why]
    if jobs and services:
        parts.append(Text(""))
    if services:
        parts.append(_services(services, wide=wide, namespaces=namespaces, now=now))
        parts += [_note(service.name, service.why) for service in services if service.why]
    return Group(*parts)


def table_of(*names: str) -> Table:
    """Return an empty table in the style of kubectl's, whose first columns are not wrapped."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        table.add_column(name, no_wrap=name in ("", "TRAINING", "SERVICE", "STATE", "AGE", "NAME"), overflow="fold")
    return table


def _jobs(jobs: Sequence[Job], *, wide: bool, namespaces: bool, now: datetime | None) -> Table:
    columns = ["TRAINING", "STATE", "PROGRESS", "LOSS", "BEST", "ETA", "GPUS", "AGE"]
    columns += ["VERSION", "RESTARTS", "NODE"] if wide else []
    table = table_of(*(["NAMESPACE"] if namespaces else []), *columns)
    for job in jobs:
        status = job.status
        progress, name = status.progress, judge(job.metrics)
        row: list[RenderableType] = [
            job.name,
            _state(job.phase),
            progress.summary if progress and progress.summary else "-",
            number(progress.loss) if progress else "-",
            f"{short_metric(name)} {metric(name, job.metrics[name])}" if name and name in job.metrics else "-",
            (progress.eta if progress and not job.is_done else None) or "-",
            str(status.gpus),
            age(job.manifest["metadata"].get("creationTimestamp"), now),
        ]
        if wide:
            last = status.attempts[-1] if status.attempts else None
            row += [str(status.model.version) if status.model else "-", str(status.restarts)]
            row += [(last.node if last else None) or "-"]
        table.add_row(*([job.namespace] if namespaces else []), *row)
    return table


def _services(services: Sequence[Service], *, wide: bool, namespaces: bool, now: datetime | None) -> Table:
    columns = ["SERVICE", "STATE", "VERSION", "NEXT", "REPLICAS", "AGE"] + (["URL", "GRPC"] if wide else [])
    table = table_of(*(["NAMESPACE"] if namespaces else []), *columns)
    for service in services:
        status = service.status
        row: list[RenderableType] = [
            service.name,
            _state(service.phase),
            str(status.current.model_version) if status.current else "-",
            str(status.next.model_version) if status.next else "-",
            status.ready,
            age(service.manifest["metadata"].get("creationTimestamp"), now),
        ]
        row += [status.url or "-", status.grpc or "-"] if wide else []
        table.add_row(*([service.namespace] if namespaces else []), *row)
    return table


def _note(name: str, why: str) -> Text:
    return Text.assemble((f"{name}: ", "bold"), (why, "default"), overflow="fold")


def _state(phase: str) -> Text:
    return Text(phase, style=STATE_STYLES.get(phase, "default"))
