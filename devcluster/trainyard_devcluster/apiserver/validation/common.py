"""Rules that several kinds share."""

from collections.abc import Iterable, Iterator

from trainyard_devcluster import selectors
from trainyard_devcluster.apiserver.errors import FieldError, forbidden_field, invalid_value, required
from trainyard_devcluster.apiserver.values import Json, Object
from trainyard_devcluster.quantity import parse

IMMUTABLE = "field is immutable"
_QUANTITY_RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def port_error(port: Json, path: str) -> Iterator[FieldError]:
    """Yield an error where a number is no port."""
    if not isinstance(port, int) or not 0 < port < 65536:
        yield invalid_value(path, port, "must be between 1 and 65535, inclusive")


def quantity_errors(amounts: Object, path: str) -> Iterator[FieldError]:
    """Yield what is wrong with amounts of resources."""
    for name, amount in amounts.items():
        try:
            negative = parse(amount) < 0
        except ValueError:
            yield invalid_value(f"{path}[{name}]", str(amount), _QUANTITY_RULE)
            continue
        if negative:
            yield invalid_value(f"{path}[{name}]", amount, "must be greater than or equal to 0")


def not_negative(value: Json, path: str) -> Iterator[FieldError]:
    """Yield an error where a number is below zero."""
    if isinstance(value, int) and value < 0:
        yield invalid_value(path, value, "must be greater than or equal to 0")


def unchanged(new: Json, old: Json, path: str) -> Iterator[FieldError]:
    """Yield an error where a field that may not change has changed."""
    if new != old:
        yield invalid_value(path, new, IMMUTABLE)


def requirement_errors(requirements: Iterable[Object], path: str, *, of_nodes: bool = False) -> Iterator[FieldError]:
    """Yield what is wrong with a selector's expressions; those on nodes may compare numbers, too."""
    for index, requirement in enumerate(requirements):
        at, values = f"{path}[{index}]", requirement.get("values")
        match requirement.get("operator"):
            case "In" | "NotIn":
                if not values:
                    yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            case "Exists" | "DoesNotExist":
                if values:
                    yield forbidden_field(
                        f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    )
            case "Gt" | "Lt" if of_nodes:
                if len(values or ()) != 1:
                    yield required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
            case operator:
                yield invalid_value(f"{at}.operator", operator, "not a valid selector operator")


def selects_template(spec: Object) -> Iterator[FieldError]:
    """Yield an error where a workload's selector does not select its own pods."""
    selector, labels = spec.get("selector"), (spec["template"].get("metadata") or {}).get("labels")
    if not selector:
        yield required("spec.selector")
    elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
    elif problems := list(requirement_errors(selector.get("matchExpressions") or (), "spec.selector.matchExpressions")):
        yield from problems
    elif not selectors.matches(selector, labels):
        yield invalid_value(
            "spec.template.metadata.labels", labels or {}, "`selector` does not match template `labels`"
        )
