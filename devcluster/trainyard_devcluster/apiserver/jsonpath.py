"""The part of kubectl's JSONPath that printer columns use: fields, indices, `[*]` and filters on equality."""

import re
from dataclasses import dataclass

from trainyard_devcluster.apiserver.values import Json

_STEP = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\]|\\.)+)      # .name, .a\.b
    |\[\?\(\s*@(?P<path>(?:\.[\w-]+)+)\s*(?P<op>==|!=)\s*(?P<quote>['"])(?P<text>.*?)(?P=quote)\s*\)\]
    |\[(?P<index>-?\d+)\]
    |\[(?P<star>\*)\]
    |\[(?P<mark>['"])(?P<key>.*?)(?P=mark)\]""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path."""

    steps: tuple[dict[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> "JsonPath":
        """Return the path that a text such as `.status.conditions[?(@.type=="Ready")].status` stands for.

        Raises:
            ValueError: the text is no such path.
        """
        text = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
        steps: list[dict[str, str]] = []
        at = 0
        while at < len(text):
            found = _STEP.match(text, at)
            if found is None:
                raise ValueError(f"expected a field, index or filter at {text[at:]!r} of JSONPath {text!r}")
            steps.append({name: value for name, value in found.groupdict().items() if value is not None})
            at = found.end()
        return cls(tuple(steps))

    def find(self, value: Json) -> list[Json]:
        """Return every value at the path."""
        found = [value]
        for step in self.steps:
            found = [result for each in found for result in _follow(each, step)]
        return found


def _follow(value: Json, step: dict[str, str]) -> list[Json]:
    name = step.get("field", step.get("key"))
    if name is not None:
        name = name.replace("\\.", ".")
        return [value[name]] if isinstance(value, dict) and value.get(name) is not None else []
    if "star" in step:
        return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    if not isinstance(value, list):
        return []
    if "index" in step:
        index = int(step["index"])
        return [value[index]] if -len(value) <= index < len(value) else []
    return [each for each in value if _passes(each, step)]


def _passes(item: Json, step: dict[str, str]) -> bool:
    for key in step["path"].strip(".").split("."):
        item = item.get(key) if isinstance(item, dict) else None
    return (str(item) == step["text"]) == (step["op"] == "==")
