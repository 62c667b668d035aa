"""What an API server thinks of a CEL rule before it takes the definition: whether it compiles, and its worst cost.

Kubernetes refuses a CustomResourceDefinition with a rule that is estimated above `RULE_LIMIT`, or with rules above
`DEFINITION_LIMIT` in all (StaticEstimatedCostLimit and StaticEstimatedCRDCostLimit of its apiextensions/validation).
The estimate is cel-go's checker/cost.go: a step costs 1, reading a text a tenth of its length, a loop its body times
the most elements. Lengths come from maxLength, maxItems and maxProperties; what has none is as long as a request.

The types of rules are checked too, with no more than the functions of Kubernetes 1.29. Where versions of Kubernetes
estimate differently, this takes the higher cost.
"""

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

Json = dict[str, Any]
Type = Any
"""A name such as `int`, or ("list", element), ("map", value), ("type", type), or the `Fields` of an object."""

RULE_LIMIT: Final = 10_000_000
DEFINITION_LIMIT: Final = 100_000_000
REQUEST_BYTES: Final = 3 * 1024 * 1024
BYTES_OF_A_CHARACTER: Final = 4
_PER_CHARACTER: Final = 0.1
_PER_CHARACTER_OF_A_PATTERN: Final = 0.25
_NEW_LIST: Final = 10
_NEW_MAP: Final = 30
_UNKNOWN: Final = float("inf")
_SCALARS: Final = ("bool", "double", "duration", "int")
_ANYTHING: Final = "anything"
"""The type of the elements of an empty list."""

_RESERVED: Final = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "namespace",
        "package",
        "return",
        "var",
        "void",
        "while",
    ]
)
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||[=!<>]=|[-+*/%<>!?:.,()\[\]{}]))"
)


class RuleError(Exception):
    """The API server would not compile the rule."""


@dataclass(frozen=True, eq=False)
class Fields:
    """The type of an object: the schema that declares its fields."""

    schema: Json

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.schema is other.schema

    def __hash__(self) -> int:
        return id(self.schema)


@dataclass(frozen=True)
class Term:
    """A part of a rule: its type, the cost to compute it, and, where they are known, its place and its size."""

    type: Type
    cost: float = 0
    path: tuple[str, ...] = ()
    """The variable, then the way to the value in its schema; only the latter where the value is in no schema."""
    size: float | None = None
    value_size: float = 0
    """The size of the largest value of a map that the rule writes."""
    selected: bool = False
    """Whether this is a field of something, as has() takes it."""


def rule_costs(schema: Json) -> dict[str, float]:
    """Return the cost of each rule in a schema, by its path and text, times how often it may stand in one object."""
    return dict(_rule_costs(schema, "", times=1, root=True))


def _rule_costs(schema: Json, path: str, *, times: float, root: bool = False) -> Iterator[tuple[str, float]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"{path}: {rule['rule']}", times * cost_of(rule["rule"], with_metadata(schema) if root else schema)
    for name, field in schema.get("properties", {}).items():
        yield from _rule_costs(field, f"{path}.{name}", times=times)
    if "items" in schema:
        yield from _rule_costs(schema["items"], f"{path}[]", times=times * schema.get("maxItems", REQUEST_BYTES))
    if "additionalProperties" in schema:
        most = schema.get("maxProperties", REQUEST_BYTES)
        yield from _rule_costs(schema["additionalProperties"], f"{path}.*", times=times * most)


def with_metadata(schema: Json) -> Json:
    """Return the schema of a whole object as rules see it: two names of unknown length are its metadata."""
    text = {"type": "string"}
    metadata = {"type": "object", "properties": {"name": text, "generateName": text}}
    return schema | {"properties": schema.get("properties", {}) | {"kind": text, "metadata": metadata}}


def cost_of(rule: str, schema: Json) -> float:
    """Return the most that one evaluation of a rule on a value of a schema can cost.

    Raises:
        RuleError: the rule does not parse, or its types do not fit.
    """
    term = _Reader(rule, schema).whole()
    if term.type != "bool":
        raise RuleError(f"expected a rule that is true or false, got {term.type}: {rule}")
    return term.cost


def declared(schema: Json) -> Type | None:
    """Return the type of a field as rules see it; None where they do not see it."""
    if schema.get("x-kubernetes-int-or-string"):
        return "dyn"
    match schema.get("type"):
        case "array":
            return _of("list", declared(schema["items"]))
        case "object" if "additionalProperties" in schema:
            return _of("map", declared(schema["additionalProperties"]))
        case "object":
            return Fields(schema)
        case "integer":
            return "int"
        case "number":
            return "double"
        case "boolean":
            return "bool"
        case "string":
            return {"date-time": "timestamp", "date": "timestamp", "duration": "duration", "byte": "bytes"}.get(
                schema.get("format", ""), "string"
            )
    return None


def _of(kind: str, inner: Type | None) -> Type | None:
    return None if inner is None else (kind, inner)


def most_elements(schema: Json) -> int:
    """Return how long the API server takes a value of a schema to be at most."""
    match schema:
        case {"x-kubernetes-int-or-string": True}:  # Its maxLength counts in newer versions only.
            return REQUEST_BYTES - 2
        case {"type": "array"}:
            return int(schema.get("maxItems", REQUEST_BYTES - 2))
        case {"additionalProperties": _}:
            return int(schema.get("maxProperties", REQUEST_BYTES - 2))
        case {"type": "string", "maxLength": length}:
            return int(length) * BYTES_OF_A_CHARACTER
        case {"type": "string", "enum": values}:
            return max(len(value) for value in values)
        case {"type": "string"}:
            return REQUEST_BYTES - 2
    return 0


def _reading(size: float) -> float:
    return size if size == _UNKNOWN else math.ceil(size * _PER_CHARACTER)


def _fit(one: Type, other: Type) -> bool:
    if one == other or {"dyn", _ANYTHING} & {one, other}:
        return True
    return isinstance(one, tuple) and isinstance(other, tuple) and one[0] == other[0] and _fit(one[1], other[1])


class _Reader:
    """Reads a rule once from left to right, and computes types and costs on the way."""

    def __init__(self, rule: str, schema: Json) -> None:
        self._rule, self._root, self._at = rule, schema, 0
        self._tokens = list(_tokens(rule))
        own = declared(schema)
        self._variables = {"self": Term(own, 1, ("self",)), "oldSelf": Term(own, 1, ("oldSelf",))}
        for name in ("int", "string", "double", "bool"):
            self._variables[name] = Term(("type", name), 1, (name,))

    def whole(self) -> Term:
        term = self._choice()
        self._require(self._at == len(self._tokens), "the end")
        return term

    def _require(self, holds: object, expected: str) -> None:
        if not holds:
            before = " ".join(text for _, text in self._tokens[: self._at])
            raise RuleError(f"expected {expected} at the end of: {before or self._rule}")

    def _next(self, *signs: str) -> str | None:
        """Return the next token where it is one of these signs or names, and step over it."""
        if self._at < len(self._tokens) and self._tokens[self._at][1] in signs:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def _must(self, sign: str) -> None:
        self._require(self._next(sign), sign)

    # Operators, from the weakest to the strongest.

    def _choice(self) -> Term:
        condition = self._junction("||")
        if not self._next("?"):
            return condition
        one = self._junction("||")
        self._must(":")
        other = self._choice()
        self._require(condition.type == "bool" and _fit(one.type, other.type), "one type of both ends of a choice")
        size = max(self._size(one), self._size(other))
        return Term(one.type, condition.cost + max(one.cost, other.cost), size=size)

    def _junction(self, sign: str) -> Term:
        def operand() -> Term:
            return self._junction("&&") if sign == "||" else self._relation()

        term = operand()
        while self._next(sign):
            other = operand()
            self._require({term.type, other.type} <= {"bool", "dyn"}, f"true or false around {sign}")
            term = Term("bool", term.cost + other.cost)
        return term

    def _relation(self) -> Term:
        term = self._sum()
        while sign := self._next("==", "!=", "<", "<=", ">", ">=", "in"):
            other = self._sum()
            cost = term.cost + other.cost
            if sign == "in":
                kind, inner = other.type if isinstance(other.type, tuple) else ("", None)
                self._require(kind in ("list", "map"), "a list or a map after in")
                self._require(_fit(term.type, inner if kind == "list" else "string"), "an element before in")
                cost += self._size(other) if kind == "list" else 1
            elif sign in ("==", "!="):
                self._require(_fit(term.type, other.type), f"two values of one type around {sign}")
                cost += _reading(min(self._size(term), self._size(other)))
            else:
                numbers = {term.type, other.type} <= {"int", "double", "dyn"}
                alike = _fit(term.type, other.type) and not isinstance(term.type, tuple)
                self._require(numbers or alike, f"two values of one order around {sign}")
                texts = "string" in (term.type, other.type)
                cost += _reading(min(self._size(term), self._size(other))) if texts else 1
            term = Term("bool", cost)
        return term

    def _sum(self) -> Term:
        term = self._product()
        while sign := self._next("+", "-"):
            other = self._product()
            self._require(_fit(term.type, other.type), f"two values of one type around {sign}")
            size = self._size(term) + self._size(other)
            texts = sign == "+" and "string" in (term.type, other.type)
            cost = _reading(size) if texts else 1
            term = Term(term.type, term.cost + other.cost + cost, size=size if texts else None)
        return term

    def _product(self) -> Term:
        term = self._unary()
        while sign := self._next("*", "/", "%"):
            other = self._unary()
            self._require(_fit(term.type, other.type), f"two numbers of one type around {sign}")
            term = Term(term.type, term.cost + other.cost + 1)
        return term

    def _unary(self) -> Term:
        if sign := self._next("!", "-"):
            term = self._unary()
            self._require(term.type in (("bool",) if sign == "!" else ("int", "double")), f"what {sign} takes")
            return Term(term.type, term.cost + 1)
        return self._member()

    def _member(self) -> Term:
        term = self._primary()
        while sign := self._next(".", "["):
            if sign == "[":
                index = self._choice()
                self._must("]")
                term = self._element(term, index)
                continue
            kind, name = self._tokens[self._at]
            self._require(kind == "name", "a name")
            self._at += 1
            term = self._method(term, name) if self._next("(") else self._select(term, name)
        return term

    def _element(self, term: Term, index: Term) -> Term:
        kind, inner = term.type if isinstance(term.type, tuple) else ("", None)
        self._require(kind in ("list", "map"), "a list or a map before [")
        self._require(_fit(index.type, "int" if kind == "list" else "string"), "a number or a key in []")
        path = (*term.path, "@items" if kind == "list" else "@values")
        found = Term(inner, term.cost + index.cost + 1, path)
        return replace(found, size=max(self._size(found), term.value_size))

    def _select(self, term: Term, name: str) -> Term:
        self._require(name not in _RESERVED, f"__{name}__")
        if isinstance(term.type, tuple) and term.type[0] == "map":
            return Term(term.type[1], term.cost + 1, (*term.path, "@values"), selected=True)
        self._require(isinstance(term.type, Fields), f"an object with the field {name}")
        field = term.type.schema.get("properties", {}).get(name)
        kind = None if field is None else declared(field)
        self._require(kind is not None, f"a declared field instead of {name}")
        return Term(kind, term.cost + 1, (*term.path, name), selected=True)

    def _method(self, term: Term, name: str) -> Term:
        if name in ("all", "exists", "exists_one", "filter", "map"):
            return self._loop(term, name)
        arguments = list(self._arguments())
        cost = term.cost + sum(each.cost for each in arguments)
        types = [term.type, *(each.type for each in arguments)]
        match name, types:
            case "size", [("list" | "map", _) | "string"]:
                return Term("int", cost + 1)
            case "startsWith" | "endsWith", ["string" | "dyn", "string"]:
                return Term("bool", cost + _reading(self._size(arguments[0])))
            case "contains", ["string", "string"]:
                return Term("bool", cost + _reading(self._size(term)) * _reading(self._size(arguments[0])))
            case "matches", ["string", "string"]:
                pattern = math.ceil(self._size(arguments[0]) * _PER_CHARACTER_OF_A_PATTERN)
                return Term("bool", cost + _reading(self._size(term) + 1) * pattern)
        raise RuleError(f"expected a function that this knows, got {name} of {types}: {self._rule}")

    def _loop(self, term: Term, name: str) -> Term:
        """A macro: cel-go makes a loop of it, with a condition, a step, and a result that is accumulated."""
        kind, inner = term.type if isinstance(term.type, tuple) else ("", None)
        self._require(kind in ("list", "map"), f"a list or a map before {name}")
        variable = self._tokens[self._at][1]
        self._at += 1
        self._must(",")
        shadowed = self._variables.get(variable)
        element = inner if kind == "list" else "string"
        path = (*term.path, "@items" if kind == "list" else "@keys")
        self._variables[variable] = Term(element, 1, path)
        body = self._choice()
        self._must(")")
        if shadowed:
            self._variables[variable] = shadowed
        else:
            del self._variables[variable]
        self._require(name == "map" or body.type == "bool", f"true or false in {name}")
        before, each, after, result = {
            "all": (0, 2 + 1, 1, "bool"),
            "exists": (0, 3 + 1, 1, "bool"),
            "exists_one": (0, 2, 2, "bool"),
            "filter": (_NEW_LIST, 1 + _NEW_LIST + 2, 1, ("list", element)),
            "map": (_NEW_LIST, 1 + _NEW_LIST + 1, 1, ("list", body.type)),
        }[name]
        size = self._size(term)
        cost = term.cost + before + after + (size * (body.cost + each) if size else 0)
        return Term(result, cost, size=size if name in ("filter", "map") else 1)

    def _primary(self) -> Term:
        self._require(self._at < len(self._tokens), "a value")
        kind, text = self._tokens[self._at]
        self._at += 1
        match kind, text:
            case "number", _:
                return Term("double" if "." in text else "int", size=1)
            case "text", _:
                return Term("string", size=len(ast.literal_eval(text)))
            case "name", "true" | "false":
                return Term("bool", size=1)
            case "name", _ if self._next("("):
                return self._function(text)
            case "name", _:
                self._require(text in self._variables, "self, oldSelf or a variable of a loop")
                return self._variables[text]
            case _, "(":
                term = self._choice()
                self._must(")")
                return replace(term, selected=False)
            case _, "[":
                return self._list()
            case _, "{":
                return self._map()
        raise RuleError(f"expected a value, got {text}: {self._rule}")

    def _function(self, name: str) -> Term:
        arguments = list(self._arguments())
        cost = sum(each.cost for each in arguments)
        types = [each.type for each in arguments]
        match name, types:
            case "has", [_]:
                self._require(arguments[0].selected, "a field in has()")
                return Term("bool", cost - 1)
            case "size", [("list" | "map", _) | "string"]:
                return Term("int", cost + 1)
            case "type", [kind]:
                return Term(("type", kind), cost + 1)
            case "double" | "int", ["int" | "double" | "string" | "dyn"]:
                return Term(name, cost + 1)
            case "duration", ["string" | "dyn"]:
                return Term("duration", cost + 1)
        raise RuleError(f"expected a function that this knows, got {name} of {types}: {self._rule}")

    def _arguments(self) -> Iterator[Term]:
        while not self._next(")"):
            yield self._choice()
            self._next(",")

    def _list(self) -> Term:
        elements: list[Term] = []
        while not self._next("]"):
            elements.append(self._choice())
            self._next(",")
        kind = elements[0].type if elements else _ANYTHING
        self._require(all(_fit(kind, each.type) for each in elements), "one type of all elements")
        return Term(("list", kind), _NEW_LIST + sum(each.cost for each in elements), size=len(elements))

    def _map(self) -> Term:
        values: list[Term] = []
        cost: float = _NEW_MAP
        while not self._next("}"):
            key = self._choice()
            self._must(":")
            values.append(self._choice())
            cost += key.cost + values[-1].cost
            self._require(key.type == "string", "texts as keys")
            self._next(",")
        self._require(all(_fit(values[0].type, each.type) for each in values), "one type of all values")
        largest = max(self._size(each) for each in values)
        return Term(("map", values[0].type), cost, size=len(values), value_size=largest)

    def _size(self, term: Term) -> float:
        if term.size is not None:
            return term.size
        if not term.path:
            return 1 if term.type in _SCALARS else _UNKNOWN
        schema = self._root
        # The elements of a list that the rule writes have a way of one step, and so the size of the rule's own value.
        for name in term.path[1:]:
            match name:
                case "@items":
                    schema = schema["items"]
                case "@values":
                    schema = schema["additionalProperties"]
                case "@keys":
                    return 0  # Keys have no maxLength, and are taken to be empty.
                case _:
                    schema = schema["properties"][name]
        return most_elements(schema)


def _tokens(rule: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(rule.rstrip()):
        found = _TOKEN.match(rule, at)
        if found is None or found.lastgroup is None:
            raise RuleError(f"expected a rule, got {rule[at:]!r}")
        yield found.lastgroup, found[found.lastgroup]
        at = found.end()
