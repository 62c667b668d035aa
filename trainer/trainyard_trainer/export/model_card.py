"""MODEL_CARD.md: what a person wants to know of a model version, made from its manifest and from nothing else.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (2019), as far as a trainer knows the answers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from trainyard_api.names import EXAMPLES_INPUT, EXAMPLES_SIGNATURE, MANIFEST_FILE, SIGNATURE, TEXT_SIGNATURE

_MOST_COLUMNS = 50
_FEW_ROWS = 100
_MOST_CONFUSED = 12
"""Classes of a confusion matrix that a page has room for; the manifest has larger ones."""
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
        yield (
            f"Signature {_code(EXAMPLES_SIGNATURE)} takes serialized tf.train.Example in {_code(EXAMPLES_INPUT)}; a "
            "feature left out is a missing value."
        )
    if TEXT_SIGNATURE in manifest["signatures"]:
        yield from _missing_values(manifest)


def _missing_values(manifest: Mapping[str, Any]) -> Iterator[str]:
    inputs = manifest["signatures"][TEXT_SIGNATURE]["inputs"]
    row = manifest.get("exampleRow") or {name: _sample(name, each) for name, each in inputs.items()}
    first = next(
        name for name, each in manifest["signatures"][SIGNATURE]["inputs"].items() if each["dtype"] != "string"
    )
    gone = next((name for name, value in row.items() if value == ""), None)
    if gone is None and not isinstance(row[first], list):
        row, gone = row | {first: ""}, first
    yield ""
    yield f"A missing value is an empty text: signature {_code(TEXT_SIGNATURE)} takes each number as a text, too."
    if gone:
        origin = "This row of the data" if "exampleRow" in manifest else "This row"
        yield f"{origin} has none in {_code(gone)}:"
    body = json.dumps({"signature_name": TEXT_SIGNATURE, "instances": [row]}, indent=2, ensure_ascii=False)
    fence = _fence(body)
    yield ""
    yield f"{fence}json\n{body}\n{fence}"
    yield ""
    yield (
        f"In signature {_code(SIGNATURE)} a missing text is empty, and a missing number is {_code('NaN')}, which "
        f"TensorFlow Serving reads though JSON has none. TensorFlow Serving refuses {_code('null')} and a row that "
        "leaves a column out; the command and the Python client of Trainyard fill those in."
    )


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
    if "targetTransform" in manifest["training"].get("fit", {}):
        yield "The loss is of the logarithm of 1 + label, which it learns; all else is in the unit of the label."
    if "testRows" in manifest["data"]:
        yield "Those that start with `test_` are of rows that had no say in its choice either, measured once."
    if weight := manifest["data"].get("weight"):
        yield f"In all of them, and in what follows, a row counts as much as its {_code(weight)} says."
    yield ""
    yield from _table("metric", "value", [(name, f"{value:.6g}") for name, value in manifest["metrics"].items()])
    if auto := manifest["training"].get("auto"):
        yield from _tried(auto)
    yield from _evaluation(manifest.get("evaluation", {}))
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


def _evaluation(evaluation: Mapping[str, Any]) -> Iterator[str]:
    if constant := evaluation.get("constant"):
        saved = constant["betterBy"]
        (loss,) = (constant["metrics"][each] for each in ("val_loss", "loss") if each in constant["metrics"])
        always = f"always answering {constant['answer']}, whose loss is {loss:.6g}"
        yield ""
        if saved is None or saved <= 0:
            yield f"**Warning: this model is no better than {always}. It has learnt nothing of use.**"
        else:
            yield f"Its loss is {100 * saved:.3g} % below that of {always}."
    if folds := evaluation.get("crossValidation"):
        yield from ("", f"Trained without each of {folds['folds']} folds of the rows, and judged on that fold:", "")
        yield _line("metric", "mean", "standard deviation", "from", "to")
        yield _line(*["---"] * 5)
        for name, each in folds["metrics"].items():
            spread = (each["mean"], each["deviation"], min(each["values"]), max(each["values"]))
            yield _line(name, *(f"{number:.6g}" for number in spread))
    if classes := evaluation.get("classes"):
        yield from ("", "Class by class, of the validation rows:", "")
        yield _line("class", "rows", "precision", "recall", "F1")
        yield _line(*["---"] * 5)
        for each in classes:
            numbers = (f"{each[name]:.4g}" for name in ("precision", "recall", "f1"))
            yield _line(_code(each["class"]), each["rows"], *numbers)
    if (confusion := evaluation.get("confusion")) and len(confusion) <= _MOST_CONFUSED:
        names = [_code(each["class"]) for each in evaluation["classes"]]
        yield from ("", "What rows of each class were taken for:", "")
        yield _line("is", *names)
        yield _line(*["---"] * (1 + len(names)))
        for name, counts in zip(names, confusion, strict=True):
            yield _line(name, *(f"{count:.6g}" if isinstance(count, float) else count for count in counts))
    if "prAuc" in evaluation:
        yield from ("", f"Area under the precision-recall curve: {evaluation['prAuc']:.4g}.")
    if calibration := evaluation.get("calibration"):
        yield from ("", f"Its probabilities are off by {calibration['error']:.2g} on average:", "")
        yield _line("probability from", "rows", "said", "was")
        yield _line(*["---"] * 4)
        for each in calibration["bins"]:
            yield _line(f"{each['from']:g}", each["rows"], f"{each['said']:.3g}", f"{each['was']:.3g}")
    if residuals := evaluation.get("residuals"):
        yield from ("", "Label less prediction, at each share of the rows from the smallest up:", "")
        shares = sorted(residuals, key=float)
        yield from _table("share", "difference", [(name, f"{residuals[name]:.6g}") for name in shares])
    if importances := evaluation.get("permutationImportance"):
        yield from ("", "By how much the loss grows where a column's values are those of other rows:", "")
        ranked = sorted(importances.items(), key=lambda each: -each[1])[:_MOST_COLUMNS]
        yield from _table("column", "loss", [(_code(name), f"{value:.4g}") for name, value in ranked])


def _tried(auto: Mapping[str, Any]) -> Iterator[str]:
    """Yield what family auto has tried; the best is first."""
    metrics = {family: each["metrics"] for family, each in auto["tried"].items()}
    names = [name for name in next(iter(metrics.values())) if name.startswith("val_")] or ["loss"]
    yield from ("", f"Family auto tried these, and exported {auto['chosen']}:", "")
    yield _line("family", "weight", *names, "seconds")
    yield _line(*["---"] * (3 + len(names)))
    for family in sorted(metrics, key=lambda each: metrics[each].get("val_loss", metrics[each]["loss"])):
        values = (f"{metrics[family][name]:.6g}" if name in metrics[family] else "" for name in names)
        weight = f"{auto['weights'].get(family, 0.0):.3g}"
        yield _line(_code(family), weight, *values, f"{auto['tried'][family]['seconds']:.3g}")
    for family, why in auto["skipped"].items():
        yield from ("", f"{_code(family)} was left out: {why}.")


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
