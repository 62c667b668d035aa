"""The comments of the chart's values.yaml, carried into its README and schema by `make crds`.

The settings of the operator go into the schema from their own source, operator/trainyard_operator/settings.py.
"""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from trainyard_operator.settings import Settings

CHART = Path(__file__).parents[1] / "charts/trainyard"
_BLOCK = re.compile(r"(?<=<!-- values -->\n).*?(?=<!-- /values -->)", re.DOTALL)
_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):")


_SETTINGS_WITH_VALUES = {
    "namespaces", "trainer_image", "trainer_gpu_image", "operator_image", "network_policies", "log_level", "log_format",
    "leader_election", "lease_name", "lease_namespace", "page_port",
}  # fmt: skip
_JSON_TYPES: dict[type, dict[str, Any]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number", "minimum": 0},
    str: {"type": "string"},
}


def settings_schema() -> dict[str, Any]:
    """Return the schema of `settings`: what of the operator's settings has no value of its own in the chart."""
    schema = {}
    for setting in fields(Settings):
        if setting.name not in _SETTINGS_WITH_VALUES:
            choices = {"enum": list(found)} if (found := setting.metadata["choices"]) else {}
            described = {"description": f"{setting.metadata['help']} [default: {setting.default!r}]"}
            schema[camel_case(setting.name)] = _JSON_TYPES[type(setting.default)] | choices | described
    return schema


def camel_case(name: str) -> str:
    """Return a Python name as charts write it: log_level is logLevel."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def comments(text: str) -> dict[str, str]:
    """Return the comment right above each key of a values file, by the key's dotted path."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.strip("# "))
        elif match := _KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            if comment:
                found[".".join(path)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def value_at(values: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path."""
    found: Any = values
    for key in path.split("."):
        found = found[key]
    return found


def table(text: str) -> str:
    """Return the table of a values file."""
    values = yaml.safe_load(text)
    rows = (f"| `{path}` | `{json.dumps(value_at(values, path))}` | {why} |\n" for path, why in comments(text).items())
    return "| value | default | meaning |\n| --- | --- | --- |\n" + "".join(rows)


def readme_with_table(readme: str, text: str) -> str:
    """Return the README with the table of a values file between its two marks."""
    return _BLOCK.sub(lambda _: table(text), readme)


def schema_with_descriptions(schema: str, text: str) -> str:
    """Return the schema with the comments of a values file as descriptions."""
    root = json.loads(schema)
    root["properties"]["settings"]["properties"] = settings_schema()
    for path, why in comments(text).items():
        node = root
        for key in path.split("."):
            node = node["properties"][key]
        node["description"] = why
    return json.dumps(root, indent=2) + "\n"


def generated_files() -> dict[Path, str]:
    """Return the README and the schema as they should be."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    makers = {CHART / "README.md": readme_with_table, CHART / "values.schema.json": schema_with_descriptions}
    return {path: make(path.read_text(encoding="utf-8"), text) for path, make in makers.items()}


if __name__ == "__main__":
    for path, content in generated_files().items():
        path.write_text(content, encoding="utf-8")
