"""Label selectors and node selector terms: which objects a selector means."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

Labels: TypeAlias = Mapping[str, str]


def matches_labels(wanted: Labels | None, labels: Labels | None) -> bool:
    """Whether the labels include all wanted ones. Nothing wanted matches nothing, as in a Service's selector."""
    return bool(wanted) and all((labels or {}).get(key) == value for key, value in (wanted or {}).items())


def matches(selector: Mapping[str, Any] | None, labels: Labels | None) -> bool:
    """Whether a LabelSelector means an object with these labels. None matches nothing, an empty one everything."""
    if selector is None:
        return False
    labels = labels or {}
    exact: Labels = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        _holds(requirement, labels) for requirement in selector.get("matchExpressions") or ()
    )


def matches_node(terms: Iterable[Mapping[str, Any]], labels: Labels, name: str) -> bool:
    """Whether one of a NodeSelector's terms means the node. A term without requirements means none."""
    return any(_term_holds(term, labels, name) for term in terms)


def _term_holds(term: Mapping[str, Any], labels: Labels, name: str) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    return (
        bool(expressions or fields)
        and all(_holds(requirement, labels) for requirement in expressions)
        and all(_holds(requirement, {"metadata.name": name}) for requirement in fields)
    )


def _holds(requirement: Mapping[str, Any], labels: Labels) -> bool:
    """An operator that is not known holds for nothing: an API server refuses it, but an object may be older."""
    operator = _OPERATORS.get(requirement.get("operator", ""))
    value = labels.get(requirement.get("key", ""))
    return operator is not None and operator(value, list(requirement.get("values") or ()))


def _compared(value: str | None, values: list[str], compare: Callable[[int, int], bool]) -> bool:
    try:
        return value is not None and compare(int(value), int(values[0]))
    except (IndexError, ValueError):
        return False


_OPERATORS: Mapping[str, Callable[[str | None, list[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
    "Gt": lambda value, values: _compared(value, values, int.__gt__),
    "Lt": lambda value, values: _compared(value, values, int.__lt__),
}
