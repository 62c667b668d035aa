"""What every command shares: the cluster it talks to, where it writes, and in what form."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console, RenderableType

from trainyard.client import Client
from trainyard.cluster import Manifest

_PIPE_COLUMNS = 500
"""Lines in a pipe are as long as they are: whoever reads them cuts them."""


class Output(StrEnum):
    """The form of what a command prints."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", metavar="FORM", help="text, wide, json, yaml or name.", show_default=False),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Namespace; that of the kubeconfig's context where absent."),
]
TimeoutOption = Annotated[float | None, typer.Option("--timeout", metavar="SECONDS", help="To wait at most.", min=1)]


@dataclass(slots=True)
class Context:
    """Options that stand before the command, and what is made of them."""

    namespace: str | None = None
    kubeconfig: Path | None = None
    kube_context: str | None = None
    courier_image: str | None = None
    connect: Callable[["Context"], Client] = lambda context: context.client_of_kubeconfig()
    out: Console = field(default_factory=lambda: console())
    err: Console = field(default_factory=lambda: console(stderr=True))

    def client(self, namespace: str | None = None) -> Client:
        """Return the client for the namespace of a command, or of all of them."""
        if namespace:
            self.namespace = namespace
        return self.connect(self)

    def client_of_kubeconfig(self) -> Client:
        """Return the client for the kubeconfig."""
        return Client(
            self.namespace,
            kubeconfig=self.kubeconfig,
            context=self.kube_context,
            courier_image=self.courier_image,
        )

    def say(self, shown: RenderableType = "") -> None:
        """Print for a person; in a pipe without the spaces that fill a terminal's lines."""
        if self.out.is_terminal or self.out.is_jupyter:
            self.out.print(shown, highlight=False, markup=False, crop=False)
            return
        with self.out.capture() as captured:
            self.out.print(shown, highlight=False, markup=False, crop=False)
        self.data("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def data(self, text: str) -> None:
        """Print for a program: as it is, without wrapping or colour."""
        self.out.file.write(text if text.endswith("\n") else f"{text}\n")
        self.out.file.flush()


def console(*, stderr: bool = False) -> Console:
    """Return the console of a stream: of the terminal's width, or as wide as need be in a pipe."""
    made = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not made.is_terminal and not made.is_jupyter:
        return Console(
            stderr=stderr, highlight=False, emoji=False, markup=False, width=_columns_asked_for() or _PIPE_COLUMNS
        )
    return made


def _columns_asked_for() -> int | None:
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else None


def of(context: typer.Context) -> Context:
    """Return what the commands share."""
    found = context.find_object(Context)
    assert found is not None
    return found


def print_objects(context: Context, output: Output, objects: Iterable[Manifest], *, several: bool) -> None:
    """Print resources as JSON, YAML or names."""
    found = list(objects)
    if output is Output.NAME:
        for each in found:
            context.data(f"{each['kind'].lower()}.trainyard.dev/{each['metadata']['name']}")
        return
    whole: Any = {"apiVersion": "v1", "kind": "List", "items": found} if several else found[0]
    print_document(context, output, whole)


def print_document(context: Context, output: Output, document: Mapping[str, Any] | list[Any]) -> None:
    """Print a document as JSON or YAML."""
    if output is Output.YAML:
        context.data(to_yaml(document))
    else:
        context.data(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def to_yaml(document: Any) -> str:
    """Return a document as YAML, in the order it has."""
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100))


def is_data(output: Output) -> bool:
    """Whether the output is for programs."""
    return output in (Output.JSON, Output.YAML, Output.NAME)
