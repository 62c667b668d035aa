"""`list`, `watch`, `show` and `logs`: what there is, and how it goes."""

import fnmatch
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from trainyard.cli.context import (
    Context,
    NamespaceOption,
    Output,
    OutputOption,
    TimeoutOption,
    is_data,
    of,
    print_objects,
)
from trainyard.cli.training import finish
from trainyard.client import Client
from trainyard.errors import NotFound
from trainyard.history import History, parse_line
from trainyard.job import Job, events_of
from trainyard.screen.listing import listing
from trainyard.screen.live import follow_job, follow_service
from trainyard.screen.story import job_story, service_story, version_before
from trainyard.screen.words import is_ascii
from trainyard.service import Service

_WATCH_SECONDS = 2.0
EverywhereOption = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Look"
    app.command("list", rich_help_panel=panel)(list_)
    app.command(rich_help_panel=panel)(watch)
    app.command(rich_help_panel=panel)(show)
    app.command(rich_help_panel=panel)(logs)


def list_(
    context: typer.Context,
    pattern: Annotated[str, typer.Argument(help="Names of trainings, such as penguins-*.")] = "*",
    everywhere: EverywhereOption = False,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List trainings and services."""
    shared = of(context)
    jobs, services = _found(shared.client(namespace), pattern, everywhere)
    if is_data(output):
        print_objects(
            shared, output, [*(job.manifest for job in jobs), *(each.manifest for each in services)], several=True
        )
        return
    if not jobs and not services:
        where = "any namespace" if everywhere else f"namespace {shared.client().namespace}"
        shared.err.print(Text(f"nothing in {where} yet: trainyard train DATA --label COLUMN"))
        return
    shared.say(listing(jobs, services, wide=output is Output.WIDE, namespaces=everywhere))


def watch(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A training or a service; the list of all where absent.")] = None,
    timeout: TimeoutOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Follow a training or a service until it is done, or the list of all."""
    shared = of(context)
    client = shared.client(namespace)
    if name is None:
        _watch_all(client, shared.out, timeout)
        return
    found = _either(client, name)
    if isinstance(found, Service):
        follow_service(found, timeout=timeout, console=shared.out)
        return
    follow_job(found, timeout=timeout, console=shared.out)
    found.check()
    finish(shared, found)


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A training or a service.")],
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show one training or service on one page: what it does, why it is not ready, and what to do next."""
    shared = of(context)
    client = shared.client(namespace)
    try:
        found: list[Job | Service] = [client.job(name)]
    except NotFound:
        found = [_either(client, name)]
    else:
        found += [service for service in client.services() if service.name == name]
    if is_data(output):
        print_objects(shared, output, [each.manifest for each in found], several=len(found) > 1)
        return
    for at, each in enumerate(found):
        if at:
            shared.say()
        shared.say(_story(shared, client, each))


def logs(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A training.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the training ends.")] = False,
    tail: Annotated[int | None, typer.Option(help="The last lines only.", min=0)] = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Print the log of a training, one readable line a report; with -o json as the trainer wrote it."""
    shared = of(context)
    job = shared.client(namespace).job(name)
    for line in _log_of(job, follow=follow, lines=tail):
        if output is Output.JSON:
            shared.data(line)
        else:
            shared.out.print(readable(line), soft_wrap=True)


def readable(line: str) -> Text:
    """Return a line of a log as a person reads it: the time of day, and what is said."""
    found = parse_line(line)
    if found is None:
        return Text(line)
    style = {"failed": "red", "done": "green"}.get(str(found["event"]), "default")
    clock = str(found.get("time", ""))[11:19]
    return Text.assemble((f"{clock}  ", "dim"), (str(found.get("message", found["event"])), style))


def _log_of(job: Job, *, follow: bool, lines: int | None) -> Iterator[str]:
    if follow and not job.pods():
        for seen in job.changes():
            if seen.pods() and seen.phase not in ("Pending", "Starting"):
                break
    yield from job.logs(follow=follow, lines=lines)


def _found(client: Client, pattern: str, everywhere: bool) -> tuple[list[Job], list[Service]]:
    services = [each for each in client.services(everywhere=everywhere) if fnmatch.fnmatchcase(each.name, pattern)]
    return client.jobs(pattern, everywhere=everywhere), services


def _watch_all(client: Client, console: Console, timeout: float | None) -> None:
    deadline = time.monotonic() + (timeout or float("inf"))
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            live.update(listing(*_found(client, "*", False)), refresh=True)
            if time.monotonic() + _WATCH_SECONDS > deadline:
                return
            time.sleep(_WATCH_SECONDS)


def _either(client: Client, name: str) -> Job | Service:
    """Return the training of that name, or else the service."""
    try:
        return client.job(name)
    except NotFound as error:
        try:
            return client.service(name)
        except NotFound:
            raise NotFound(str(error).replace("no training", "no training or service")) from error


def _story(shared: Context, client: Client, found: Job | Service) -> RenderableType:
    events = events_of(client.cluster, found.manifest)
    if isinstance(found, Service):
        return service_story(found, events=events)
    history = History() if found.phase in ("Pending", "Starting") else found.read_history(whole=False)
    before = version_before(found, client.jobs())
    return job_story(found, history=history, events=events, before=before, ascii_only=is_ascii(shared.out))
