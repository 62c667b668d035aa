"""MODEL_CARD.md: what a person wants to know of a model version, made from its manifest and from nothing else.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (2019), as far as a trainer knows the answers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trainyard_api.names import EXAMPLES_INPUT, EXAMPLES_SIGNATURE, MANIFEST_FILE, SIGNATURE

_MOST_COLUMNS = 50
_FEW_ROWS = 100
_KINDS = {
    "binaryClassification": "tells two classes apart",
    "multiclassClassification": "tells several classes apart",
    "multilabelClassification": "finds the labels that apply",
    "regression": "predicts a number",
}


def model_card(manifest: Mapping[str, Any]) -> str:
    """Return the card; the same manifest has the same card, in whatever order its fields are."""
    manifest = json.loads(json.dumps(manifest, sort_keys=True))
    sections = {
        "What it does": _purpose(manifest),
        "How to call it": _usage(manifest),
        "Data": _data(manifest["data"]),
        "How good it is": _quality(manifest),
        "Limits": _limits(manifest),
        "Where it comes from": _provenance(manifest),
    }
    parts = [f"# {manifest['name']}", *(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())]
    return "\n\n".join(parts) + "\n"


def _purpose(manifest: Mapping[str, Any]) -> Iterator[str]:
    training, data = manifest["training"], manifest["data"]
    does = _KINDS.get(training["task"], training["task"])
    yield f"A model of family {_code(training['family'])} that {does}: {_code(data['label'])}, from these columns."
    yield ""
    yield ", ".join(_code(each) for each in data["features"][:_MOST_COLUMNS])
    if (more := len(data["features"]) - _MOST_COLUMNS) > 0:
        yield f"and {more} more, which {MANIFEST_FILE} lists."


def _usage(manifest: Mapping[str, Any]) -> Iterator[str]:
    signature = manifest["signatures"][SIGNATURE]
    row = {name: _sample(name, each) for name, each in signature["inputs"].items()}
    body = json.dumps({"instances": [row]}, indent=2, ensure_ascii=False)
    yield f"Rows go to signature {_code(SIGNATURE)} as they are: all preprocessing is inside."
    yield ""
    fence = _fence(body)
    yield f"{fence}sh"
    yield f"curl http://HOST:8501/v1/models/{manifest['name']}:predict -d @- <<'EOF'\n{body}\nEOF"
    yield fence
    yield ""
    yield f"It answers {', '.join(_code(each) for each in signature['outputs'])}."
    if EXAMPLES_SIGNATURE in manifest["signatures"]:
        yield f"Signature {_code(EXAMPLES_SIGNATURE)} takes serialized tf.train.Example in {_code(EXAMPLES_INPUT)}."


def _sample(name: str, tensor: Mapping[str, Any]) -> Any:
    value: Any = 0.0 if tensor["dtype"].startswith(("float", "bfloat")) else 0
    if tensor["dtype"] == "string":
        value = {"b64": ""} if name.endswith("_bytes") else ""
    for size in reversed(tensor["shape"][1:]):
        value = [value] * (size or 1)
    return value


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(
        "", "", [(name, value) for name, value in data.items() if name not in ("features", "label", "columns")]
    )


def _quality(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield "Metrics that start with `val_` are of rows the model was not trained on."
    yield ""
    yield from _table("metric", "value", [(name, f"{value:.6g}") for name, value in manifest["metrics"].items()])
    for column, groups in manifest.get("slices", {}).items():
        yield ""
        yield f"By {_code(column)}, of the same rows:"
        yield ""
        names = list(dict.fromkeys(name for group in groups for name in group["metrics"]))
        yield _line("value", "rows", *names)
        yield _line(*["---"] * (2 + len(names)))
        for group in groups:
            shown = [f"{group['metrics'][name]:.6g}" if name in group["metrics"] else "" for name in names]
            yield _line(_slice_name(group), group["rows"], *shown)


def _slice_name(group: Mapping[str, Any]) -> str:
    if "others" in group:
        return f"{group['others']} other values"
    return "(missing)" if group["value"] is None else _code(group["value"])


def _limits(manifest: Mapping[str, Any]) -> Iterator[str]:
    rows = manifest["data"]["validationRows"]
    if not rows:
        yield "- No rows were held back: nothing is known of how good it is on rows it has not seen."
    else:
        yield f"- It was measured on {rows} rows. Rows that come about in another way may fare worse."
        if rows < _FEW_ROWS:
            yield f"- {rows} rows are few: the metrics would differ on others."
    if not manifest.get("slices"):
        yield "- It was not measured by groups of rows (`data.slices`); it may be worse for some than for others."
    yield "- Columns it does not know are refused; values it has never seen are answered all the same."


def _provenance(manifest: Mapping[str, Any]) -> Iterator[str]:
    job, training = manifest["trainingJob"], manifest["training"]
    where = f"{job['namespace']}/{job['name']}" if job["namespace"] else job["name"]
    facts = {"TrainingJob": where, "uid": job["uid"], "created": manifest["created"]}
    yield from _table("", "", [*facts.items(), *((k, v) for k, v in training.items() if not isinstance(v, Mapping))])
    yield ""
    yield from _table("code", "version", list(manifest["code"].items()))
    yield ""
    yield f"{_code(MANIFEST_FILE)} has the SHA-256 of every file."


def _table(first: str, second: str, rows: list[tuple[str, Any]]) -> Iterator[str]:
    yield _line(first, second)
    yield _line("---", "---")
    for name, value in rows:
        yield _line(name, value if isinstance(value, int | float) else _code(str(value)))


def _line(*cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _code(text: str) -> str:
    """Return any text as one code span, in which nothing is markup."""
    plain = " ".join(text.split()).replace("|", "\\|")
    fence = _fence(plain, least=1)
    return f"{fence} {plain} {fence}" if "`" in plain else f"{fence}{plain}{fence}"


def _fence(text: str, least: int = 3) -> str:
    runs = [len(each) for each in re.findall("`+", text)]
    return "`" * max([least, *(run + 1 for run in runs)])
