"""`curve` and `compare`: trainings side by side."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from trainyard.cli.context import NamespaceOption, Output, OutputOption, is_data, of, print_document
from trainyard.comparison import Comparison, compare
from trainyard.screen.listing import table_of
from trainyard.screen.plots import figure, page, terminal
from trainyard.screen.words import is_better, metric


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Look")(curve)
    app.command("compare", rich_help_panel="Look")(compare_)


def curve(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Trainings, or patterns such as penguins-*.")],
    metrics: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", help="What to draw; the loss and the first val_ metric where absent."),
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Write a PNG there; needs matplotlib.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page of HTML there, with nothing from elsewhere.")] = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Draw loss and metrics of one or several trainings: here, as PNG, or as HTML."""
    shared = of(context)
    histories = {job.name: job.read_history() for job in shared.client(namespace).matching(names)}
    if is_data(output):
        print_document(shared, output, {name: history.to_rows() for name, history in histories.items()})
        return
    if png:
        figure(histories, metrics or (), path=png)
    if html:
        html.write_text(page(histories, metrics or ()), encoding="utf-8")
    written = [str(path) for path in (png, html) if path]
    shared.say(Text(f"wrote {' and '.join(written)}") if written else terminal(histories, metrics or (), shared.out))


def compare_(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Trainings, or patterns such as penguins-*.")],
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the settings in which trainings differ, and how well each did."""
    shared = of(context)
    found = compare(shared.client(namespace).matching(names))
    if is_data(output):
        settings = {path: list(values) for path, values in found.settings.items()}
        metrics = {name: list(values) for name, values in found.metrics.items()}
        document = {"trainings": list(found.names), "states": list(found.states)}
        print_document(shared, output, document | {"settings": settings, "metrics": metrics})
        return
    shared.say(_table(found))


def _table(found: Comparison) -> RenderableType:
    table = table_of("", *found.names)
    table.add_row("state", *found.states)
    for path, values in found.settings.items():
        table.add_row(path, *(Text(text, style="dim" if text == "-" else "default") for text in _shown(values)))
    for name, numbers in found.metrics.items():
        known = [value for value in numbers if value is not None]
        best = next((value for value in known if not any(is_better(name, other, value) for other in known)), None)
        cells = [
            Text(metric(name, value), style="bold green" if value == best and len(known) > 1 else "default")
            for value in numbers
        ]
        table.add_row(name, *cells)
    return table


def _shown(values: Sequence[Any]) -> list[str]:
    """Return the values of one setting; of lists what not all of them have."""
    lists = [value for value in values if isinstance(value, list)]
    if len(lists) < 2:
        return ["-" if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    common = [item for item in lists[0] if all(item in other for other in lists)]
    return ["-" if value is None else _own(value, common) for value in values]


def _own(items: Sequence[Any], common: Sequence[Any]) -> str:
    own = [str(item) for item in items if item not in common]
    if not own:
        return f"{len(common)} alike"
    return f"{', '.join(own)} and {len(common)} alike" if common else ", ".join(own)
