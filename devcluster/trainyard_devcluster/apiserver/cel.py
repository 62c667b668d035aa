"""CEL as Kubernetes uses it: programs compiled once, with Kubernetes' own functions."""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from cel import Context, OptionalValue, Program, stdlib
from cel import compile as compile_cel

from trainyard_devcluster import quantity
from trainyard_devcluster.apiserver.values import Json


class CelError(Exception):
    """An expression cannot be compiled or evaluated."""


@cache
def program(expression: str) -> Program:
    """Return the program of an expression.

    Raises:
        CelError: it does not parse.
    """
    try:
        return compile_cel(expression)
    except ValueError as error:
        raise CelError(str(error)) from error


def optional(value: Json) -> OptionalValue:
    """Return a value as CEL's optional type: none where there is nothing."""
    return OptionalValue.none() if value is None else OptionalValue.of(value)


class Scope:
    """Variables and functions to evaluate expressions with.

    Bringing a large value into CEL costs more than most rules do, so a scope is made once for all the rules of a value.
    """

    def __init__(self, variables: dict[str, Json | OptionalValue]) -> None:
        self._context = Context(variables)
        self._known: set[str] = set()

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression.

        Raises:
            CelError: it fails, for instance on a key that is absent.
        """
        compiled = program(expression)
        # A program names the functions it calls without their namespaces: `abs` for `math.abs`.
        called = set(compiled.functions()) - self._known
        for name, function in _FUNCTIONS.items():
            if name.rpartition(".")[2] in called:
                self._context.add_function(name, function)
        self._known |= called
        try:
            return compiled.execute(self._context)
        except KeyError as error:
            raise CelError(f"no such key: {error.args[0]}") from error
        except (ValueError, TypeError, RuntimeError, ArithmeticError, IndexError) as error:
            raise CelError(str(error)) from error


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [each[0] for each in re.finditer(pattern, text)]
    return found if limit < 0 else found[:limit]


def _index_of(value: Any, item: Any, offset: int = 0) -> int:
    if isinstance(value, str):
        return value.find(item, offset)
    return value.index(item) if item in value else -1


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except ValueError:
        return False
    return True


def _compare(one: str, other: str) -> int:
    left, right = quantity.parse(one), quantity.parse(other)
    return (left > right) - (left < right)


def _shift(one: str, other: str | int, sign: int) -> str:
    result = quantity.parse(one) + sign * quantity.parse(other)
    return str(result.numerator) if result.denominator == 1 else str(float(Fraction(result)))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **stdlib.STDLIB_FUNCTIONS,
    "find": _find,
    "findAll": _find_all,
    "indexOf": _index_of,
    "isSorted": lambda items: all(a <= b for a, b in pairwise(items)),
    # Quantities stay texts; only these functions look into them.
    "quantity": lambda text: text,
    "isQuantity": _is_quantity,
    "isInteger": lambda text: quantity.parse(text).denominator == 1,
    "asInteger": lambda text: int(quantity.parse(text)),
    "asApproximateFloat": lambda text: float(quantity.parse(text)),
    "sign": lambda text: _compare(text, "0"),
    "compareTo": _compare,
    "isGreaterThan": lambda one, other: _compare(one, other) > 0,
    "isLessThan": lambda one, other: _compare(one, other) < 0,
    "add": lambda one, other: _shift(one, other, 1),
    "sub": lambda one, other: _shift(one, other, -1),
}
