"""`suspend`, `resume`, `rerun` and `delete`: what one does to trainings and services that are there."""

from typing import Annotated

import typer
from rich.text import Text

from trainyard.cli.context import NamespaceOption, Output, OutputOption, is_data, of, print_objects
from trainyard.errors import NotFound, Usage
from trainyard.screen.story import next_steps


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Change"
    app.command(rich_help_panel=panel)(suspend)
    app.command(rich_help_panel=panel)(resume)
    app.command(rich_help_panel=panel)(rerun)
    app.command(rich_help_panel=panel)(delete)


def suspend(
    context: typer.Context,
    training: Annotated[str, typer.Argument(help="A training that has not ended.")],
    namespace: NamespaceOption = None,
) -> None:
    """Stop a training after a checkpoint; its GPUs are free then."""
    shared = of(context)
    shared.client(namespace).job(training).suspend()
    shared.say(Text(f"{training} stops after a checkpoint; go on with: trainyard resume {training}"))


def resume(
    context: typer.Context,
    training: Annotated[str, typer.Argument(help="A training that is suspended.")],
    namespace: NamespaceOption = None,
) -> None:
    """Let a suspended training go on from its last checkpoint."""
    shared = of(context)
    shared.client(namespace).job(training).resume()
    shared.say(Text(f"{training} goes on; follow it with: trainyard watch {training}"))


def rerun(
    context: typer.Context,
    training: Annotated[str, typer.Argument(help="A training, in whatever state.")],
    name: Annotated[str | None, typer.Option(help="Train under another name, as a new training.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field that is to be different, such as fit.epochs=50, in a new training; repeatable.",
        ),
    ] = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Train once more under the same name, or as a new training with what --set changes, to a new version."""
    shared = of(context)
    if name is None and not settings:
        again = shared.client(namespace).job(training).train_again()
        if is_data(output):
            print_objects(shared, output, [again.manifest], several=False)
        else:
            when = "now" if again.is_done else "once it has ended"
            shared.say(Text(f"{training} trains again {when}; follow it with: trainyard watch {training}"))
        return
    made = shared.client(namespace).job(training).rerun(name=name, settings=settings or ())
    if is_data(output):
        print_objects(shared, output, [made.manifest], several=False)
        return
    shared.say(Text(f"{made.name} trains as {training} did{', but for ' + ', '.join(settings) if settings else ''}"))
    steps = {f"trainyard watch {made.name}": "follow it", f"trainyard compare {training} {made.name}": "what differs"}
    for shown in next_steps(steps):
        shared.say(shown)


def delete(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A training or a service.")],
    kind: Annotated[str | None, typer.Option(help="training or service, where there are both of that name.")] = None,
    namespace: NamespaceOption = None,
) -> None:
    """Delete a training or a service; model versions stay in the store."""
    shared = of(context)
    client = shared.client(namespace)
    if kind not in (None, "training", "service"):
        raise Usage(f"--kind expects training or service, got {kind!r}")
    jobs = [job for job in client.jobs() if job.name == name and kind != "service"]
    services = [service for service in client.services() if service.name == name and kind != "training"]
    if not jobs and not services:
        raise NotFound(f"namespace {client.namespace} has no training or service {name}")
    if jobs and services:
        raise Usage(f"there are a training and a service {name}: say which with --kind training or --kind service")
    for job in jobs:
        job.delete()
    for service in services:
        service.delete()
    shared.say(Text(f"{name} is deleted; its model versions are still in the store"))
