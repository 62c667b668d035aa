"""The rules of the CRDs compile on an API server, and are as cheap as it asks for.

The expected costs of the small rules are Kubernetes' own, from TestCostEstimation beside its compiler of rules.
"""

import pytest

from support.custom_resources import SCHEMAS
from support.rule_cost import DEFINITION_LIMIT, RULE_LIMIT, RuleError, cost_of, rule_costs

UNBOUNDED = {"type": "string"}
TEXT = {"type": "string", "maxLength": 10}
NUMBERS = {"type": "array", "maxItems": 10, "items": {"type": "number"}}
TEXTS = {"type": "array", "maxItems": 8, "items": UNBOUNDED}
EITHER = {"x-kubernetes-int-or-string": True}
COUNTS = {"type": "object", "maxProperties": 10, "additionalProperties": {"type": "integer"}}
OBJECT = {"type": "object", "properties": {"name": TEXT, "count": {"type": "integer"}, "share": {"type": "number"}}}


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_the_api_server_takes_the_rules_of_a_definition(kind):
    costs = rule_costs(SCHEMAS[kind])
    assert costs
    assert [rule for rule, cost in costs.items() if cost > RULE_LIMIT] == []
    assert sum(costs.values()) <= DEFINITION_LIMIT


@pytest.mark.parametrize(
    ("schema", "rule", "cost"),
    [
        (NUMBERS, "self.all(x, true)", 32),
        (NUMBERS, "self.all(x, self.all(y, true))", 352),
        (NUMBERS, "self[1] == 0.0", 2),
        (TEXTS, "self[1] == self[1]", 314_577),
        (UNBOUNDED, "self.contains('test')", 314_574),
        (TEXT, "self.contains('test')", 5),
        (UNBOUNDED, "self.startsWith('test')", 2),
        ({"type": "string", "maxLength": 4}, "size(self + 'hello') > size('hello')", 7),
        ({"type": "string", "maxLength": 50}, "self.matches('x')", 22),
        (TEXT, "''.matches('(((((((((())))))))))[0-9]')", 7),
        (UNBOUNDED, "self == 'x'", 2),
        ({"type": "string", "maxLength": 0}, "self == 'x'", 1),
        ({"type": "array", "maxItems": 10, "items": EITHER}, "self[0] == 5", 3),
        (COUNTS, "oldSelf.size() == self.size()", 5),
        ({"type": "string", "enum": ["A", "LongValue"]}, "self.contains('A')", 2),
        ({"type": "string", "maxLength": 1000, "enum": ["A"]}, "self.contains('A')", 401),
    ],
)
def test_a_rule_costs_what_kubernetes_says(schema, rule, cost):
    assert cost_of(rule, schema) == cost


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        pytest.param(UNBOUNDED, f"self.matches('{'x' * 200}')", id="a text without maxLength"),
        pytest.param(
            {"type": "array", "items": TEXT}, "self.all(x, self.all(y, x == y))", id="a list without maxItems"
        ),
        pytest.param(COUNTS | {"maxProperties": 10**9}, "self.all(name, self[name] > 0)", id="a wide map"),
    ],
)
def test_what_has_no_bound_is_taken_to_be_as_long_as_a_request(schema, rule):
    assert cost_of(rule, schema) > RULE_LIMIT


def test_a_rule_in_a_list_or_map_costs_as_often_as_it_may_stand_there():
    inner = TEXT | {"x-kubernetes-validations": [{"rule": "self == 'x'"}]}
    listed = {"type": "array", "maxItems": 7, "items": inner}
    assert list(rule_costs({"type": "object", "maxProperties": 3, "additionalProperties": listed}).values()) == [42]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("self.nme == 'x'", "a declared field"),
        ("self.name == 1", "one type"),
        ("self.share == 1", "one type"),
        ("self.name < 1", "one order"),
        ("self.count + 0.5 > 1.0", "one type"),
        ("self.count", "true or false"),
        ("has(self)", "a field"),
        ("self.name in ['a', 1]", "one type"),
        ("self.name.format([1]) == ''", "a function"),
        ("quantity(self.name).isGreaterThan(quantity('1'))", "a function"),
        ("self.namespace == ''", "__namespace__"),
        ("self.name == other", "a variable"),
        ("self.name ==", "a value"),
        ("self.count > 1 && self.name", "true or false around &&"),
    ],
)
def test_a_rule_that_kubernetes_would_not_compile_is_an_error(rule, expected):
    with pytest.raises(RuleError, match=expected):
        cost_of(rule, OBJECT)


def test_a_whole_number_and_a_real_one_can_be_compared_in_order():
    assert cost_of("self.count < 0.5 || self.share >= 1", OBJECT) == 6
