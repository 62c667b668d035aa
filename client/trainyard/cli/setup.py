"""`doctor` and `version`: whether all is there that Trainyard needs."""

from importlib.metadata import version as installed
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from trainyard.cli.context import NamespaceOption, Output, OutputOption, is_data, of, print_document
from trainyard.doctor import examine
from trainyard.errors import Failed

_STYLES = {"ok": "green", "warn": "yellow", "fix": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Set up")(doctor)
    app.command("version", rich_help_panel="Set up")(version_)


def doctor(
    context: typer.Context,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check the cluster: version, GPUs, CRDs, operator, your rights, storage, additions; each with a fix.

    Ends with exit code 3 where something has to be fixed.
    """
    shared = of(context)
    client = shared.client(namespace)
    found = []
    for finding in examine(client.cluster, client.namespace):
        found.append(finding)
        if not is_data(output):
            grid = Table.grid(padding=(0, 2))
            grid.add_column(width=4, no_wrap=True)
            grid.add_column(overflow="fold")
            grid.add_row(Text(finding.level, style=_STYLES[finding.level]), Text(finding.text))
            if finding.fix:
                grid.add_row("", Text(finding.fix, style="cyan"))
            shared.say(grid)
    if is_data(output):
        print_document(shared, output, [{"level": each.level, "text": each.text, "fix": each.fix} for each in found])
    wrong = sum(each.level == "fix" for each in found)
    if wrong:
        raise Failed(f"{wrong} of {len(found)} checks need a fix: it stands below each")


def version_(
    context: typer.Context,
    client_only: Annotated[bool, typer.Option("--client", help="Do not ask the cluster.")] = False,
) -> None:
    """Print the versions of the client and of the cluster."""
    shared = of(context)
    shared.say(Text(f"trainyard {installed('trainyard-operator')}"))
    if not client_only:
        cluster = shared.client().cluster
        shared.say(Text(f"Kubernetes {cluster.raw('/version').get('gitVersion', '').lstrip('v')} at {cluster.server}"))
