"""`import tfjob`: from Kubeflow's resource to ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.text import Text

from trainyard import tfjob, trainjob
from trainyard.cli.context import of, to_yaml
from trainyard.cluster import Manifest
from trainyard.errors import Usage
from trainyard.plan import DEFAULT_STORE


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    imports = typer.Typer(help="Turn other systems' resources into TrainingJobs.", no_args_is_help=True)
    imports.command("tfjob")(import_tfjob)
    imports.command("trainjob")(import_trainjob)
    imports.callback()(_imports)
    app.add_typer(imports, name="import", rich_help_panel="Set up")


def _imports() -> None:
    """Turn other systems' resources into TrainingJobs."""


def import_tfjob(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="YAML with TFJobs of kubeflow.org/v1; - reads stdin.")],
    store: Annotated[str, typer.Option(help="Claim or URI that keeps the models.")] = DEFAULT_STORE,
) -> None:
    """Print the TrainingJobs that come nearest to TFJobs; what has no equivalent is said on stderr."""
    _import(context, file, "TFJob", lambda found: tfjob.convert(found, store=store))


def import_trainjob(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="YAML with TrainJobs of trainer.kubeflow.org; - reads stdin.")],
    store: Annotated[str, typer.Option(help="Claim or URI that keeps the models.")] = DEFAULT_STORE,
) -> None:
    """Print the TrainingJobs that come nearest to TrainJobs; what has no equivalent is said on stderr."""
    _import(context, file, "TrainJob", lambda found: trainjob.convert(found, store=store))


def _import(context: typer.Context, file: str, kind: str, convert: Callable[[Manifest], tfjob.Converted]) -> None:
    shared = of(context)
    if file != "-" and not Path(file).exists():
        raise Usage(f"the file {file} does not exist")
    text = typer.get_text_stream("stdin").read() if file == "-" else Path(file).read_text(encoding="utf-8")
    try:
        documents = [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    except yaml.YAMLError as error:
        raise Usage(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    found = [each for each in documents if each.get("kind") == kind]
    if not found:
        kinds = ", ".join(str(each.get("kind")) for each in documents) or "nothing"
        raise Usage(f"expected a {kind} in {file}, got {kinds}")
    made = [convert(each) for each in found]
    shared.data("---\n".join(to_yaml(each.manifest) for each in made))
    for each in made:
        for note in each.notes:
            line = Text.assemble((f"{each.manifest['metadata']['name']}: ", "bold yellow"), note)
            shared.err.print(line, soft_wrap=True)
