"""`deploy`, `predict`, `serve`, `card`, `download` and `tensorboard`: what a training has made."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
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
)
from trainyard.errors import NotFound, Usage
from trainyard.job import Job
from trainyard.predictions import (
    Instance,
    Prediction,
    Signature,
    body_of,
    instances_of,
    missing_columns,
    rows_of,
    unknown_columns,
)
from trainyard.screen.listing import table_of
from trainyard.screen.live import follow_service, labelled
from trainyard.screen.story import next_steps
from trainyard.screen.words import number
from trainyard.service import Service
from trainyard_api.names import REST_PORT
from trainyard_api.suggestions import listed

_SHORTEST_ROW, _LONGEST_ROW = 20, 100
_READY_SECONDS = 600.0


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Use the model"
    app.command(rich_help_panel=panel)(deploy)
    app.command(rich_help_panel=panel)(predict)
    app.command(rich_help_panel=panel)(serve)
    app.command(rich_help_panel=panel)(card)
    app.command(rich_help_panel=panel)(download)
    app.command(rich_help_panel=panel)(tensorboard)


def deploy(
    context: typer.Context,
    training: Annotated[str, typer.Argument(help="A training that has succeeded.")],
    name: Annotated[str | None, typer.Option(help="Name of the service; that of the model where absent.")] = None,
    replicas: Annotated[int, typer.Option(help="Serving pods.", min=0)] = 1,
    pin: Annotated[bool, typer.Option("--pin", help="Serve this version only, not each newer one.")] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait until it answers.")] = True,
    timeout: TimeoutOption = _READY_SECONDS,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Serve the model of a training, and from then on the newest version of it."""
    shared = of(context)
    client = shared.client(namespace)
    service = client.deploy(training, name, replicas=replicas, pin=pin)
    if follow and is_data(output):
        service.wait(timeout=timeout)
    elif follow:
        follow_service(service, timeout=timeout, console=shared.out)
    if is_data(output):
        print_objects(shared, output, [service.manifest], several=False)
        return
    if service.url:
        shared.say(labelled("http", Text(service.url)))
    shared.say()
    for shown in next_steps({f"trainyard predict {service.name} --example": "try it"}):
        shared.say(shown)


def predict(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="A service; with --local the folder of a model version.")],
    rows: Annotated[
        str | None, typer.Argument(help="A row as JSON, or a file: JSON, CSV, text, image or WAV; - reads stdin.")
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Ask with a row that the model was trained on.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the request too, and how to send it yourself.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(help="Address to ask instead of the API server's proxy, such as http://localhost:8501."),
    ] = None,
    on_this_machine: Annotated[
        bool, typer.Option("--local", help="Ask a model version in a folder, without a cluster.")
    ] = False,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Ask a served model.

    [dim]trainyard predict penguins '{"island": "Dream", "bill_length_mm": 39.1}'[/dim]
    """
    shared = of(context)
    if (rows is None) is not example:
        raise Usage("give a row as JSON or a file, or --example")
    if on_this_machine:
        with local.served(Path(service)) as asked:
            _predict(shared, asked, rows, explain=explain, output=output)
        return
    found: Service | local.Address
    found = local.Address(url, service) if url else shared.client(namespace).service(service)
    _predict(shared, found, rows, explain=explain, output=output)


def serve(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The folder of a model version, or of a model: its newest version.")],
    on_this_machine: Annotated[bool, typer.Option("--local", help="Serve here, without any cluster.")] = False,
    port: Annotated[int, typer.Option(help="REST port.", min=0, max=65535)] = REST_PORT,
) -> None:
    """Serve a model on this machine (--local); on a cluster that is `deploy`."""
    if not on_this_machine:
        raise Usage(f"add --local to serve {model} here; on the cluster write: trainyard deploy TRAINING")
    shared = of(context)
    with local.served(Path(model), port=port) as address:
        shared.say(labelled("http", Text(f"{address.url}/{address.path}")))
        shared.say(Text("Ctrl-C ends it", style="dim"))
        address.wait()


def card(
    context: typer.Context,
    training: Annotated[str, typer.Argument(help="A training that has succeeded, or a service.")],
    raw: Annotated[bool, typer.Option("--raw", help="Print the Markdown as it is.")] = False,
    namespace: NamespaceOption = None,
) -> None:
    """Read the model card: what it does, on which data, how good it is, and what it is not good for."""
    shared = of(context)
    job = _job_of(shared, training, namespace)
    with _carrying(shared, job):
        text = job.card()
    if raw or not shared.out.is_terminal:
        shared.data(text)
    else:
        shared.out.print(Markdown(text))


def download(
    context: typer.Context,
    training: Annotated[str, typer.Argument(help="A training that has succeeded, or a service.")],
    folder: Annotated[
        Path | None, typer.Option("--output-folder", "-d", help="Where to; ./MODEL/VERSION where absent.")
    ] = None,
    namespace: NamespaceOption = None,
) -> None:
    """Copy a model version to this machine; each file is held to its digest."""
    shared = of(context)
    job = _job_of(shared, training, namespace)
    version, status = job.model, job.status.model
    assert status is not None
    target = folder or Path(status.name) / str(status.version)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=shared.out, transient=True
    ) as bar:
        task = bar.add_task(f"{status.name} version {status.version}", total=None)
        files = version.download(target, progress=lambda done, total: bar.update(task, completed=done, total=total))
    shared.say(Text(f"{len(files)} files in {target}, each as it was trained"))
    for shown in next_steps(
        {
            f"trainyard predict --local {target} FILE": "ask it here",
            f"trainyard serve --local {target}": "serve it here",
        }
    ):
        shared.say(shown)


def tensorboard(
    context: typer.Context,
    trainings: Annotated[list[str], typer.Argument(help="Trainings, or patterns such as penguins-*.")],
    port: Annotated[int, typer.Option(help="TensorBoard's port.", min=0, max=65535)] = 6006,
    namespace: NamespaceOption = None,
) -> None:
    """Start TensorBoard on the logs of trainings, which it copies here first."""
    shared = of(context)
    if shutil.which("tensorboard") is None:
        raise Usage("there is no tensorboard on PATH: pip install tensorboard, and try again")
    jobs = shared.client(namespace).matching(trainings)
    with tempfile.TemporaryDirectory(prefix="trainyard-tensorboard-") as folder:
        for job in jobs:
            files = job.model.logs(job.uid, Path(folder) / job.name)
            shared.say(labelled(job.name, Text(f"{len(files)} files")))
        shared.say(labelled("http", Text(f"http://localhost:{port}    Ctrl-C ends it")))
        ended = subprocess.run(["tensorboard", "--logdir", folder, "--port", str(port)], stdout=sys.stderr, check=False)
    raise typer.Exit(ended.returncode)


def _predict(
    shared: Context, asked: "Service | local.Address", given: str | None, *, explain: bool, output: Output
) -> None:
    signature = asked.signature()
    instances, rows = _instances(shared, asked, signature, given)
    if explain:
        _explain(shared, asked, instances)
    answers = asked.ask(instances)
    if output is Output.JSON:
        shared.data(json.dumps({"predictions": answers}, indent=2, ensure_ascii=False))
    elif output is Output.YAML:
        print_document(shared, output, {"predictions": answers})
    else:
        _print_answers(shared, rows, answers)


def _instances(
    shared: Context, asked: "Service | local.Address", signature: Signature, given: str | None
) -> tuple[list[Instance], list[dict[str, Any]]]:
    if given is None:
        example = asked.example()
        return [example], [example]
    text = sys.stdin.read() if given == "-" else given
    rows = rows_of(text, signature)
    unknown, missing = unknown_columns(rows, signature), missing_columns(rows, signature)
    instances = instances_of(rows, signature)
    if unknown:
        shared.err.print(
            Text(f"not asked for by the model and left out: {listed(unknown)}", style="yellow"), soft_wrap=True
        )
    if missing:
        shared.err.print(Text(f"missing, and taken for unknown: {listed(missing)}", style="yellow"), soft_wrap=True)
    return instances, rows


def _explain(shared: Context, asked: "Service | local.Address", instances: list[Instance]) -> None:
    body = body_of(instances[:1]).decode()
    shared.err.print(Text(f"POST {asked.place}/{asked.path}\n{body}"), soft_wrap=True)
    if isinstance(asked, Service):
        path = f"/api/v1/namespaces/{asked.namespace}/services/{asked.name}:{REST_PORT}/proxy/{asked.path}"
        # `kubectl create --raw` would hide why a request is refused.
        command = f"kubectl proxy --port=8001 & curl -d @REQUEST.json localhost:8001{path}"
        shared.err.print(Text(command, style="dim"), soft_wrap=True)
    shared.err.print(Text(f"curl -d @REQUEST.json {asked.place}/{asked.path}", style="dim"), soft_wrap=True)


def _print_answers(shared: Context, rows: list[dict[str, Any]], answers: list[Prediction]) -> None:
    if len(answers) == 1:
        told = f"   ->   {_answer(answers[0])}"
        row = _short(rows[0], max(_SHORTEST_ROW, min(_LONGEST_ROW, shared.out.width - len(told))))
        shared.out.print(Text.assemble((row, "dim"), (told, "bold")), soft_wrap=True)
        return
    table = table_of("ROW", *answers[0])
    for at, answer in enumerate(answers, 1):
        table.add_row(str(at), *(_cell(value) for value in answer.values()))
    shared.say(table)


def _short(row: dict[str, Any], width: int) -> str:
    text = json.dumps({name: value for name, value in row.items() if not isinstance(value, bytes)}, ensure_ascii=False)
    return text if len(text) <= width else f"{text[: width - 3]} …}}"


def _answer(answer: Prediction) -> str:
    if "label" in answer and isinstance(probabilities := answer.get("probabilities"), list):
        return f"{answer['label']}  {max(probabilities):.3f}"
    if "label" in answer and isinstance(probability := answer.get("probability"), int | float):
        return f"{answer['label']}  {max(probability, 1 - probability):.3f}"  # it is that of the second class
    return "  ".join(_cell(value) if len(answer) == 1 else f"{name} {_cell(value)}" for name, value in answer.items())


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _job_of(shared: Context, name: str, namespace: str | None) -> Job:
    client = shared.client(namespace)
    try:
        return client.job(name)
    except NotFound:
        services = [service for service in client.services() if service.name == name]
        current = services[0].status.current if services else None
        if current is None or current.training_job is None:
            raise
        return client.job(current.training_job)


def _carrying(shared: Context, job: Job) -> Any:
    job.model  # noqa: B018 - says at once that there is none
    return shared.err.status("reading the store …")
