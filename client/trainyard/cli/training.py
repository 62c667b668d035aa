"""`train`: from a file to a model, with the words on the way."""

from typing import Annotated, get_args

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from trainyard import local
from trainyard.cli.context import (
    Context,
    NamespaceOption,
    Output,
    OutputOption,
    TimeoutOption,
    is_data,
    of,
    print_document,
    print_objects,
    to_yaml,
)
from trainyard.client import Client, Training
from trainyard.columns import Look, Task
from trainyard.errors import Usage
from trainyard.job import Job
from trainyard.plan import Options
from trainyard.screen.live import LABEL_WIDTH, follow_job, labelled, verdict
from trainyard.screen.look import look_panel, plan_line, sending_line
from trainyard.screen.story import next_steps
from trainyard.screen.words import between
from trainyard_api.suggestions import did_you_mean, listed


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Train")(train)


def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="A CSV or Parquet file, a URI the cluster can read, or a TrainingJob as YAML.", metavar="DATA"
        ),
    ],
    label: Annotated[str | None, typer.Option("--label", "-l", metavar="COLUMN", help="The column to predict.")] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the training; the file's and a number where absent.")
    ] = None,
    gpus: Annotated[int, typer.Option(metavar="N", help="GPUs of the pod.", min=0)] = 0,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="binaryClassification, multiclassClassification or regression; found out."),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="FAMILY",
            help="Kind of model, such as mlp or gradientBoostedTrees; where absent, several are tried for a table.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the spec, such as fit.epochs=50; repeatable."),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to learn from that would be left out.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out.")] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="CLAIM", help="Claim or URI that keeps the model; the claim `models`, made if there is none."
        ),
    ] = None,
    secret: Annotated[str | None, typer.Option(metavar="NAME", help="Secret with the credentials of a URI.")] = None,
    data_claim: Annotated[
        str | None, typer.Option(metavar="CLAIM", help="Claim for a file that is too large for a ConfigMap.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the TrainingJob as YAML, and send nothing.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Show how it goes until it has ended.")] = True,
    on_this_machine: Annotated[bool, typer.Option("--local", help="Train here, without any cluster.")] = False,
    timeout: TimeoutOption = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Train a model on a table: look at it, bring it to the cluster, start, and follow.

    [dim]trainyard train penguins.csv --label species[/dim]
    """
    shared = of(context)
    options = Options(
        name=name,
        task=_task(task),
        family=family,
        gpus=gpus,
        store=store,
        secret=secret,
        settings=tuple(settings or ()),
    )
    if on_this_machine:
        local.train(shared.out, data, label, options, keep=keep or (), drop=drop or (), dry_run=dry_run)
        return
    client = shared.client(namespace)
    planned = client.plan(data, label, options, keep=keep or (), drop=drop or (), data_claim=data_claim)
    quiet = is_data(output)
    if dry_run:
        _dry_run(shared, planned, output)
        return
    if not quiet:
        if planned.look:
            shared.say(look_panel(planned.look))
        shared.say(plan_line(planned))
    job = _started(shared, client, planned, quiet=quiet)
    if follow:
        _follow(shared, job, planned.look, timeout, quiet=quiet)
    elif not quiet:
        shared.say(Text(""))
        for shown in next_steps({f"trainyard watch {job.name}": "follow it"}):
            shared.say(shown)
    if quiet:
        print_objects(shared, output, [job.refresh().manifest], several=False)


def _task(task: str | None) -> Task | None:
    if task is None:
        return None
    if task not in get_args(Task):
        known = get_args(Task)
        raise Usage(f"--task expects one of {listed(known)}, got {task!r}{did_you_mean(task, known)}")
    return task  # type: ignore[return-value]


def _dry_run(shared: Context, planned: Training, output: Output) -> None:
    if planned.look:
        shared.err.print(look_panel(planned.look))
    if planned.delivery:
        shared.err.print(sending_line(planned))
    if output in (Output.TEXT, Output.WIDE):
        shared.data(to_yaml(planned.manifest))
    else:
        print_document(shared, output, planned.manifest)


def _started(shared: Context, client: Client, planned: Training, *, quiet: bool) -> Job:
    if quiet or planned.delivery is None:
        return client.start(planned)
    if planned.delivery.fits_config_map or not shared.out.is_terminal:
        return client.start(planned, sending=lambda: shared.say(sending_line(planned)))
    shared.say(sending_line(planned))
    columns = (TextColumn(" " * (LABEL_WIDTH - 1)), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=shared.out, transient=True) as bar:
        sent = bar.add_task("", total=planned.delivery.content.size())
        return client.start(planned, progress=lambda done, _: bar.update(sent, completed=done))


def _follow(shared: Context, job: Job, look: Look | None, timeout: float | None, *, quiet: bool) -> None:
    if quiet:
        job.wait(timeout=timeout)
        return
    guess = look.label.guess if look else None
    try:
        follow_job(job, timeout=timeout, console=shared.out, guess=guess)
    except KeyboardInterrupt:
        shared.say(Text(f"\n{job.name} goes on; follow it again: trainyard watch {job.name}"))
        raise
    job.check()
    finish(shared, job, look)


def finish(shared: Context, job: Job, look: Look | None = None) -> None:
    """Print how a training has done, and what to do next."""
    status = job.status
    guess = look.label.guess if look else None
    most_frequent = look.label.classes[0][0] if look and look.label.classes else None
    seconds = between(status.start_time, status.completion_time)
    told = verdict(job, seconds=seconds, guess=guess, label=most_frequent)
    shared.say(labelled("done", Text(told, style="green")))
    shared.say(Text(""))
    steps = {f"trainyard deploy {job.name}": "serve it", f"trainyard card {job.name}": "read what it learnt"}
    for shown in next_steps(steps):
        shared.say(shown)
