"""The commands of `trainyard`, and what they share: options in front, exit codes, errors of one line."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from trainyard.cli import check, control, curves, migrate, models, observe, rollouts, setup, training
from trainyard.cli.context import Context, console
from trainyard.errors import EXIT_CODES, TrainyardError

_EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."
_PLUGIN = "kubectl-trainyard"


def make_app() -> typer.Typer:
    """Return the command with all its commands."""
    app = typer.Typer(
        help="Train TensorFlow models on Kubernetes, watch them learn, serve them, ask them.",
        epilog=_EPILOG,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for part in (training, observe, curves, models, rollouts, control, check, migrate, setup):
        part.add_to(app)
    return app


def _options(
    context: typer.Context,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace; that of the kubeconfig's context where absent.")
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Kubeconfig; $KUBECONFIG or ~/.kube/config where absent.")
    ] = None,
    kube_context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig; the current one where absent.")
    ] = None,
    courier_image: Annotated[
        str | None,
        typer.Option(
            help="Image of the short-lived pods that carry files to and from claims: any with Python 3.11.",
            envvar="TRAINYARD_COURIER_IMAGE",
        ),
    ] = None,
) -> None:
    shared = context.obj if isinstance(context.obj, Context) else Context()
    shared.namespace, shared.kubeconfig, shared.kube_context = namespace, kubeconfig, kube_context
    shared.courier_image = courier_image
    context.obj = shared


def main(arguments: Sequence[str] | None = None, shared: Context | None = None) -> int:
    """Run a command; returns its exit code.

    Args:
        arguments: The command line without the program's name; that of the process where absent.
        shared: Where to write and what to connect to, for tests.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    program = "kubectl trainyard" if Path(sys.argv[0]).name == _PLUGIN else "trainyard"
    err = shared.err if shared else console(stderr=True)
    command = typer.main.get_command(make_app())
    try:
        code = command.main(given, prog_name=program, standalone_mode=False, obj=shared)
        return code if isinstance(code, int) else 0
    except TrainyardError as error:
        _complain(err, program, str(error))
        return error.exit_code
    except typer.Abort:
        return 130
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        where = f"; see {context.command_path} --help" if context else ""
        _complain(err, program, f"{error.format_message().rstrip('.')}{where}")
        return 2
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _complain(err: Console, program: str, message: str) -> None:
    text = Text.assemble((f"{program}: ", "bold red"), " ".join(message.split()))
    err.print(text, soft_wrap=True)
