"""`promote`, `abort`, `pause`, `retry` and `rollback`: what a person decides of a new version that takes over."""

from typing import Annotated

import typer
from rich.text import Text

from trainyard.cli.context import Context, NamespaceOption, of
from trainyard.service import Service

_ServiceArgument = Annotated[str, typer.Argument(help="A service.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    panel = "Roll out"
    app.command(rich_help_panel=panel)(promote)
    app.command(rich_help_panel=panel)(abort)
    app.command(rich_help_panel=panel)(pause)
    app.command(rich_help_panel=panel)(retry)
    app.command(rich_help_panel=panel)(rollback)


def promote(context: typer.Context, service: _ServiceArgument, namespace: NamespaceOption = None) -> None:
    """Give the new version all requests, without further steps."""
    shared, found = _found(context, service, namespace)
    found.command_rollout("promote")
    shared.say(Text(f"the new version of {service} gets all requests as soon as its pods answer"))


def abort(context: typer.Context, service: _ServiceArgument, namespace: NamespaceOption = None) -> None:
    """Send the new version back; what served before gets all requests."""
    shared, found = _found(context, service, namespace)
    found.command_rollout("abort")
    shared.say(Text(f"the new version of {service} is sent back; try it again with: trainyard retry {service}"))


def retry(context: typer.Context, service: _ServiceArgument, namespace: NamespaceOption = None) -> None:
    """Try a version again that was sent back, from its first step."""
    shared, found = _found(context, service, namespace)
    found.command_rollout("retry")
    shared.say(Text(f"{service} is told to try the version again that was sent back"))


def pause(
    context: typer.Context,
    service: _ServiceArgument,
    end: Annotated[bool, typer.Option("--end", help="Go on after a pause.")] = False,
    namespace: NamespaceOption = None,
) -> None:
    """Keep a rollout where it is."""
    shared, found = _found(context, service, namespace)
    found.command_rollout("resume" if end else "pause")
    said = "goes on" if end else f"stays where it is; go on with: trainyard pause {service} --end"
    shared.say(Text(f"the rollout of {service} {said}"))


def rollback(context: typer.Context, service: _ServiceArgument, namespace: NamespaceOption = None) -> None:
    """Go back to the version that served before; a rollout that is under way is sent back."""
    shared, found = _found(context, service, namespace)
    version = found.roll_back()
    went = "the new version is sent back" if version is None else f"goes back to version {version} and stays with it"
    shared.say(Text(f"{service}: {went}"))


def _found(context: typer.Context, service: str, namespace: str | None) -> tuple[Context, Service]:
    shared = of(context)
    return shared, shared.client(namespace).service(service)
