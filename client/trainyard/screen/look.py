"""What was found in a table, before a model is trained on it."""

from rich.console import Group, RenderableType
from rich.text import Text

from trainyard.client import Training
from trainyard.cluster import Manifest
from trainyard.columns import MOST_ROWS, Look, summary
from trainyard.screen.live import labelled
from trainyard.screen.words import number, size
from trainyard_api.program import CANDIDATES
from trainyard_api.suggestions import listed

_MOST_NAMES = 24
_INDENT = "  "


def look_panel(look: Look) -> RenderableType:
    """Return what each column is taken for, and what is left out."""
    count = f"{look.rows:,} rows" if look.whole else f"the first {MOST_ROWS:,} rows looked at"
    parts: list[RenderableType] = [labelled(look.name, Text(f"{count}, {len(look.columns) + 1} columns"))]
    parts.append(labelled(f"{_INDENT}label", Text(_label(look)), style="default"))
    kinds = {
        "numbers": "number",
        "categories": "category",
        "true or false": "boolean",
        "dates": "date",
        "texts": "text",
    }
    for title, kind in kinds.items():
        if names := summary(look.columns, kind):  # type: ignore[arg-type]
            parts.append(labelled(_INDENT + title, Text(listed(names, _MOST_NAMES)), style="default"))
    for at, column in enumerate(look.left_out):
        title = f"{_INDENT}left out" if at == 0 else ""
        name = column.name or "(unnamed)"
        text = Text(f"{name}: {column.left_out}")
        if column.name and column.left_out != "you dropped it":
            text.append(f"   (--keep {name} to use it)", style="dim")
        parts.append(labelled(title, text, style="yellow"))
    return Group(*parts)


def plan_line(training: Training, *, here: bool = False) -> RenderableType:
    """Return what is about to be trained, in one line; `here` means on this machine."""
    spec: Manifest = training.manifest["spec"]
    keras = spec.get("program", {}).get("keras")
    what = _family(keras["family"]) if keras else next(iter(spec.get("program", {})), "")
    epochs = spec.get("fit", {}).get("epochs")
    worker = spec.get("roles", {}).get("worker", {})
    pods, gpus = worker.get("replicas", 1), worker.get("gpus", 0)
    where = f"{pods} pod{'s' if pods > 1 else ''} " + (
        f"with {gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "without GPU"
    )
    where = "on this machine" if here else where
    facts = [training.name, what, f"up to {epochs} epochs" if epochs else "", where]
    return labelled("predicting" if what == "predict" else "training", Text(", ".join(filter(None, facts))))


def _family(family: str) -> str:
    return f"the best of {listed(CANDIDATES)}" if family == "auto" else f"family {family}"


def sending_line(training: Training) -> RenderableType:
    """Return what is brought to the cluster, and where to."""
    assert training.delivery is not None
    return labelled("uploading", Text(f"{size(training.delivery.content.size())} to {training.delivery.place}"))


def _label(look: Look) -> str:
    label = look.label
    missing = f"   {label.missing} rows without it are left out" if label.missing else ""
    if label.task == "regression":
        span = f"{number(label.low)} to {number(label.high)}, {number(label.mean)} on average"
        return f"{label.name}: a number, {span}{missing}"
    classes = [f"{name} {count}" for name, count in label.classes]
    return f"{label.name}: {listed(classes, 6)}{missing}"
