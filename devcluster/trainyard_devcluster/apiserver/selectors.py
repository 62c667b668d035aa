"""Label and field selectors: parsing to predicates over objects."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from trainyard_devcluster.apiserver.errors import ApiError, bad_request
from trainyard_devcluster.apiserver.values import Json, Object, dig

Predicate = Callable[[Object], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_COMPARE = re.compile(r"^(?P<key>[^\s=!<>]+)\s*(?P<op>==|!=|=|<|>)\s*(?P<value>[^\s=!<>]*)$")
_KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet this condition."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Lt" | "Gt":
                return _compare(value, self.operator, next(iter(self.values)))
            case other:
                assert_never(other)  # type: ignore[arg-type]


def _compare(value: str | None, operator: str, bound: str) -> bool:
    try:
        return int(value or "") < int(bound) if operator == "Lt" else int(value or "") > int(bound)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All of several conditions."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet every condition."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_label_selector(text: str) -> LabelSelector:
    """Return the selector written as `a=b,c!=d,e in (f,g),h,!i`.

    Raises:
        ApiError: 400, the text is no selector.
    """
    return LabelSelector(tuple(_parse_requirement(part.strip()) for part in _split(text) if part.strip()))


def _split(text: str) -> list[str]:
    return re.split(r",(?![^()]*\))", text)


def _parse_requirement(text: str) -> Requirement:
    if found := _SET.match(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return _checked(Requirement(found["key"], "In" if found["op"] == "in" else "NotIn", values))
    if found := _COMPARE.match(text):
        operator = {"=": "In", "==": "In", "!=": "NotIn", "<": "Lt", ">": "Gt"}[found["op"]]
        return _checked(Requirement(found["key"], operator, frozenset([found["value"]])))
    if text.startswith("!"):
        return _checked(Requirement(text[1:].strip(), "DoesNotExist"))
    return _checked(Requirement(text, "Exists"))


def _checked(requirement: Requirement) -> Requirement:
    if not _KEY.match(requirement.key):
        raise bad_request(f"unable to parse requirement: invalid label key {requirement.key!r}")
    return requirement


def format_selector(selector: Json) -> str:
    """Return a `metav1.LabelSelector` object in its text form."""
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for each in (selector or {}).get("matchExpressions") or ():
        values = ",".join(sorted(each.get("values") or ()))
        match each["operator"]:
            case "Exists":
                parts.append(each["key"])
            case "DoesNotExist":
                parts.append(f"!{each['key']}")
            case operator:
                parts.append(f"{each['key']} {operator.lower()} ({values})")
    return ",".join(parts)


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All of several comparisons of fields with texts: (path, equal or not, text)."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    def matches(self, obj: Object) -> bool:
        """Return whether an object's fields meet every comparison."""
        return all((_field(obj, path) == text) == equal for path, equal, text in self.terms)

    def equals(self, path: str) -> str | None:
        """Return the text that a field is required to equal, if any."""
        return next((text for term, equal, text in self.terms if term == path and equal), None)


def _field(obj: Object, path: str) -> str:
    value = dig(obj, *path.split("."))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def parse_field_selector(text: str, supported: frozenset[str]) -> FieldSelector:
    """Return the selector written as `metadata.name=a,status.phase!=Running`.

    Raises:
        ApiError: 400, the text is no selector or a field is not one of those supported.
    """
    terms = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.match(r"^([^=!]+?)\s*(==|!=|=)\s*(.*)$", part)
        if not found:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if found[1] not in supported:
            raise _unsupported(found[1])
        terms.append((found[1], found[2] != "!=", found[3]))
    return FieldSelector(tuple(terms))


def _unsupported(path: str) -> ApiError:
    return bad_request(f"field label not supported: {path}")
