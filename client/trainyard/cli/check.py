"""`check`: what is wrong with a manifest, before anything is sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.text import Text

from trainyard.cli.context import of
from trainyard.errors import Usage
from trainyard.fields import check
from trainyard_api.meta import GROUP


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", rich_help_panel="Set up")(check_)


def check_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="YAML files; `-` is standard input.", metavar="FILE...")],
) -> None:
    """Say of each field in a manifest that is wrong what to change; no cluster is asked.

    The rest, such as fields that exclude each other, says `kubectl apply --dry-run=server -f FILE`.
    """
    shared = of(context)
    wrong = 0
    for file in files:
        for manifest in _documents(file):
            name = f"{manifest.get('kind')} {(manifest.get('metadata') or {}).get('name') or ''}".strip()
            if not str(manifest.get("apiVersion")).startswith(f"{GROUP}/"):
                shared.say(Text(f"{name}: not checked, for it is not of {GROUP}"))
                continue
            problems = list(check(manifest))
            told = [f"{name}:", *(f"  {problem}" for problem in problems)] if problems else [f"{name}: fields ok"]
            shared.say(Text("\n".join(told)))
            wrong += bool(problems)
    if wrong:
        raise Usage(f"{wrong} {'resource is' if wrong == 1 else 'resources are'} wrong: see above")


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")
        documents = list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{file}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise Usage(f"{file}: {_yaml_problem(error)}") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise Usage(f"{file}: expected a resource with apiVersion, kind and spec, got a {type(document).__name__}")
        yield document


def _yaml_problem(error: yaml.YAMLError) -> str:
    problem, mark = getattr(error, "problem", None) or str(error), getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    if "'\\t'" in problem:
        return f"{where}a tab; indent YAML with spaces"
    return f"{where}no YAML: {problem}"
