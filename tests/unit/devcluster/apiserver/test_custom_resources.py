"""CustomResourceDefinitions and the resources they make."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.objects import DEFINITIONS, OPEN, WIDGETS, a_definition, a_widget

from .conftest import APPLY, Api, Object

REPOSITORY = Path(__file__).parents[4]


def schema(**properties: Object) -> Object:
    return {"type": "object", "properties": properties}


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


async def define(api: Api, spec: Object, **version: Any) -> Object:
    made: Object = await api.post(DEFINITIONS, a_definition(spec, **version))
    return made


async def problems(api: Api, method: str = "POST", path: str = WIDGETS, **spec: Any) -> list[str]:
    """Return what is wrong with a widget: the text after its name, or each cause."""
    answer = await api.call(method, path, a_widget(**spec))
    assert answer.code == 422, answer.body
    assert answer.body["reason"] == "Invalid"
    return [f"{cause['field']}: {cause['message']}" for cause in answer.causes]


async def test_a_definition_is_served_at_once(api: Api) -> None:
    definition = await define(api, OPEN)
    conditions = {each["type"]: each["status"] for each in definition["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert definition["status"]["acceptedNames"]["listKind"] == "WidgetList"
    assert definition["status"]["storedVersions"] == ["v1"]
    created = await api.post(WIDGETS, a_widget(a=1))
    assert (created["spec"], created["metadata"]["generation"]) == ({"a": 1}, 1)
    found = await api.get("/apis/example.dev/v1/widgets")
    assert (found["kind"], found["items"][0]["kind"]) == ("WidgetList", "Widget")
    resources = (await api.get("/apis/example.dev/v1"))["resources"]
    assert [each["name"] for each in resources] == ["widgets", "widgets/status"]
    assert (resources[0]["shortNames"], resources[0]["categories"]) == (["wd"], ["gadgets"])


async def test_a_definition_takes_its_objects_along(api: Api) -> None:
    await define(api, OPEN)
    await api.post(WIDGETS, a_widget())
    await api.delete(f"{DEFINITIONS}/widgets.example.dev")
    assert (await api.call("GET", WIDGETS)).code == 404
    await define(api, OPEN)
    assert (await api.get(WIDGETS))["items"] == []


async def test_unknown_fields_are_pruned_unless_they_are_kept(api: Api) -> None:
    await define(api, schema(a=TEXT, free=OPEN, inner=schema(b=TEXT), each={"type": "array", "items": schema(c=TEXT)}))
    spec = {"a": "1", "x": 1, "free": {"y": {"z": 1}}, "inner": {"b": "1", "x": 1}, "each": [{"c": "1", "x": 1}]}
    answer = await api.call("POST", WIDGETS, a_widget(**spec))
    expected = {"a": "1", "free": {"y": {"z": 1}}, "inner": {"b": "1"}, "each": [{"c": "1"}]}
    assert answer.body["spec"] == expected
    assert len(answer.warnings) == 3
    strict = await api.call("POST", WIDGETS, a_widget("two", **spec), fieldValidation="Strict")
    assert strict.message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: '
        'unknown field "spec.each[0].x", unknown field "spec.inner.x", unknown field "spec.x"'
    )


async def test_defaults_are_filled_in_to_any_depth(api: Api) -> None:
    inner = schema(a={"type": "integer", "default": 1}, b=schema(c={"type": "string", "default": "x"}))
    items = {"type": "array", "items": schema(d={"type": "boolean", "default": True})}
    none = TEXT | {"default": "n"}
    await define(api, schema(inner=inner | {"default": {"b": {}}}, absent=inner, items=items, none=none))
    created = await api.post(WIDGETS, a_widget(items=[{}], none=None))
    assert created["spec"] == {"inner": {"a": 1, "b": {"c": "x"}}, "items": [{"d": True}], "none": "n"}


async def test_a_nullable_field_keeps_null(api: Api) -> None:
    await define(api, schema(a=TEXT | {"nullable": True}, b=TEXT, c=TEXT | {"nullable": True, "default": "x"}))
    assert (await api.post(WIDGETS, a_widget(a=None, b=None, c=None)))["spec"] == {"a": None, "c": None}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (NUMBER, "three", 'Invalid value: "string": spec.a in body must be of type integer: "string"'),
        (NUMBER, 1.5, 'Invalid value: "number": spec.a in body must be of type integer: "number"'),
        (TEXT, True, 'Invalid value: "boolean": spec.a in body must be of type string: "boolean"'),
        (TEXT | {"enum": ["x", "y"]}, "z", 'Unsupported value: "z": supported values: "x", "y"'),
        (TEXT | {"pattern": "^[a-z]+$"}, "A", "Invalid value: \"A\": spec.a in body should match '^[a-z]+$'"),
        (TEXT | {"minLength": 2}, "x", 'Invalid value: "x": spec.a in body should be at least 2 chars long'),
        (TEXT | {"maxLength": 2}, "xyz", "Too long: may not be more than 2 bytes"),
        (TEXT | {"format": "date-time"}, "x", 'Invalid value: "x": spec.a in body must be of type date-time: "x"'),
        (NUMBER | {"minimum": 1}, 0, "Invalid value: 0: spec.a in body should be greater than or equal to 1"),
        (NUMBER | {"maximum": 1}, 2, "Invalid value: 2: spec.a in body should be less than or equal to 1"),
        ({"type": "number", "minimum": 0, "exclusiveMinimum": True}, 0,
         "Invalid value: 0: spec.a in body should be greater than 0"),
        ({"type": "number", "maximum": 1, "exclusiveMaximum": True}, 1,
         "Invalid value: 1: spec.a in body should be less than 1"),
        (NUMBER | {"multipleOf": 5}, 7, "Invalid value: 7: spec.a in body should be a multiple of 5"),
        ({"type": "array", "items": TEXT, "minItems": 1}, [],
         "Invalid value: 0: spec.a in body should have at least 1 items"),
        ({"type": "array", "items": TEXT, "maxItems": 1}, ["x", "y"], "Too many: 2: must have at most 1 item"),
        ({"type": "object", "additionalProperties": TEXT, "minProperties": 1}, {},
         "Invalid value: 0: spec.a in body should have at least 1 properties"),
        (schema(b=TEXT) | {"required": ["b"]}, {}, "Required value"),
        ({"x-kubernetes-int-or-string": True}, [1],
         'Invalid value: "array": spec.a in body must be of type integer,string: "array"'),
        ({"x-kubernetes-int-or-string": True}, 1.5,
         'Invalid value: "number": spec.a in body must be of type integer,string: "number"'),
        (NUMBER | {"format": "int32"}, 2**31,
         'Invalid value: "": Checked value must be of type integer with format int32 in spec.a'),
        ({"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"}, ["x", "x"], 'Duplicate value: "x"'),
    ],
)  # fmt: skip
async def test_a_value_outside_its_schema_is_refused_in_kubernetes_words(
    api: Api, field: Object, value: Any, expected: str
) -> None:
    await define(api, schema(a=field))
    (found, *_) = await problems(api, a=value)
    assert found.partition(": ")[2] == expected


async def test_paths_point_into_lists_and_maps(api: Api) -> None:
    items = {"type": "array", "items": schema(n=NUMBER | {"minimum": 1})}
    values = {"type": "object", "additionalProperties": NUMBER | {"minimum": 1}}
    await define(api, schema(items=items, values=values))
    found = await problems(api, items=[{"n": 1}, {"n": 0}], values={"k": 0})
    assert [each.partition(": ")[0] for each in found] == ["spec.items[1].n", "spec.values.k"]


ONE_OF = '<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf)'


@pytest.mark.parametrize(
    ("junctor", "good", "bad", "expected"),
    [
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": "1"}, {"a": "1", "b": "1"},
         [f"{ONE_OF}. Found 2 valid alternatives"]),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"b": "1"}, {},
         [f"{ONE_OF}. Found none valid", "spec.a: Required value"]),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": "1", "b": "1"}, {},
         ['<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)', "spec.a: Required value"]),
        ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": "1", "b": "1"}, {"a": "1"},
         ['<nil>: Invalid value: "": "spec" must validate all the schemas (allOf)', "spec.b: Required value"]),
        ({"not": {"required": ["a"]}}, {"b": "1"}, {"a": "1"},
         ['<nil>: Invalid value: "": "spec" must not validate the schema (not)']),
    ],
)  # fmt: skip
async def test_schemas_combine(api: Api, junctor: Object, good: Object, bad: Object, expected: list[str]) -> None:
    await define(api, schema(a=TEXT, b=TEXT) | junctor)
    await api.post(WIDGETS, a_widget("good", **good))
    assert sorted(await problems(api, **bad)) == sorted(expected)


async def test_a_value_of_another_type_is_none_of_those_allowed_either(api: Api) -> None:
    await define(api, schema(a=TEXT | {"enum": ["x"]}))
    assert await problems(api, a=1) == [
        'spec.a: Invalid value: "integer": spec.a in body must be of type string: "integer"',
        'spec.a: Unsupported value: 1: supported values: "x"',
    ]


async def test_a_custom_resource_names_its_version(api: Api) -> None:
    await define(api, OPEN)
    refused = await api.call("POST", WIDGETS, {"kind": "Widget", "metadata": {"name": "one"}})
    assert refused.code == 400
    assert refused.message == (
        "the API version in the data () does not match the expected API version (example.dev/v1)"
    )


async def test_another_kind_is_an_invalid_object(api: Api) -> None:
    await define(api, OPEN)
    refused = await api.call("POST", WIDGETS, a_widget() | {"kind": "Gadget"})
    assert refused.message == 'Gadget.example.dev "one" is invalid: kind: Invalid value: "Gadget": must be Widget'


def ruled(field: Object, rule: str, **more: Any) -> Object:
    return field | {"x-kubernetes-validations": [{"rule": rule} | more]}


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("has(self.a) != has(self.b)", {"a": "1"}, {"a": "1", "b": "2"}),
        ("self.list.all(x, x.startsWith('p')) && size(self.list) <= 2", {"list": ["p", "po"]}, {"list": ["q"]}),
        ("self.list.filter(x, x.matches('^[0-9]+$')).size() == 1", {"list": ["1", "x"]}, {"list": ["1", "2"]}),
        ("self.list.exists(x, x == self.a)", {"a": "x", "list": ["x"]}, {"a": "y", "list": ["x"]}),
        ("self.n >= 1 && self.n < 10", {"n": 1}, {"n": 10}),
        ("math.abs(self.n) == 2 && math.greatest([self.n, 1]) == 2", {"n": 2}, {"n": -2}),
        ("!has(self.q) || quantity(self.q).isGreaterThan(quantity('1Gi'))", {"q": "2Gi"}, {"q": "5Mi"}),
        ("duration(self.a) > duration('1m')", {"a": "2m"}, {"a": "1s"}),
        ("self.a.lowerAscii() == 'x' && self.a.find('[A-Z]') == 'X'", {"a": "X"}, {"a": "x"}),
        ("'k' in self.map && self.map.all(key, self.map[key] != '')", {"map": {"k": "v"}}, {"map": {"k": ""}}),
    ],
)
async def test_rules_hold_or_are_broken(api: Api, rule: str, good: Object, bad: Object) -> None:
    fields = schema(
        a=TEXT, b=TEXT, n=NUMBER, q=TEXT, list={"type": "array", "items": TEXT},
        map={"type": "object", "additionalProperties": TEXT},
    )  # fmt: skip
    await define(api, ruled(fields, rule, message="no"))
    await api.post(WIDGETS, a_widget("good", **good))
    assert await problems(api, **bad) == ["spec: Invalid value: no"]


async def test_a_broken_rule_reads_as_on_kubernetes(api: Api) -> None:
    program = ruled(schema(a=TEXT, b=TEXT), "has(self.a) != has(self.b)", message="set exactly one of a and b")
    await define(api, schema(program=program))
    answer = await api.call("POST", WIDGETS, a_widget(program={}))
    assert answer.message == (
        'Widget.example.dev "one" is invalid: spec.program: Invalid value: set exactly one of a and b'
    )
    assert answer.body["details"]["kind"] == "Widget"


async def test_rules_say_what_they_say(api: Api) -> None:
    fields = schema(
        silent=ruled(NUMBER, "self > 1"),
        counted=ruled(NUMBER, "self > 1", messageExpression="'got ' + string(self)"),
        placed=ruled(schema(x=NUMBER), "self.x > 1", message="more", fieldPath=".x", reason="FieldValueForbidden"),
        again=ruled(schema(x=NUMBER), "self.x > 1", fieldPath=".x", reason="FieldValueDuplicate"),
        each={"type": "object", "additionalProperties": ruled(TEXT, "self != ''", message="empty")},
    )
    await define(api, fields)
    assert await problems(api, silent=1, counted=1, placed={"x": 1}, again={"x": 1}, each={"k": ""}) == [
        "spec.silent: Invalid value: 1: failed rule: self > 1",
        "spec.counted: Invalid value: 1: got 1",
        "spec.placed.x: Forbidden: more",
        "spec.again.x: Duplicate value",
        'spec.each[k]: Invalid value: "": empty',
    ]


async def test_rules_that_fail_name_the_reason(api: Api) -> None:
    await define(api, schema(a=ruled(schema(a=TEXT), "self.a == 'x'", message="must be x"),
                             b=ruled(schema(a=TEXT), "self.a == 'y'")))  # fmt: skip
    assert await problems(api, a={}, b={}) == [
        'spec.a: Invalid value: "object": no such key: a evaluating rule: must be x',
        "spec.b: Invalid value: \"object\": no such key: a evaluating rule: self.a == 'y'",
    ]


async def test_rules_wait_for_the_right_shape(api: Api) -> None:
    await define(api, ruled(schema(a=NUMBER), "self.a > 1"))
    assert (await problems(api, a="x"))[1:] == [
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation"
    ]


async def test_transition_rules_compare_with_what_was(api: Api) -> None:
    frozen = ruled(TEXT, "self == oldSelf", message="immutable")
    parts = {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": schema(name=TEXT, value=ruled(NUMBER, "self >= oldSelf", message="may not fall"))
        | {"required": ["name"]},
    }  # fmt: skip
    await define(api, schema(frozen=frozen, parts=parts))
    await api.post(WIDGETS, a_widget(frozen="a", parts=[{"name": "x", "value": 2}]))
    one = f"{WIDGETS}/one"
    await api.patch(one, {"spec": {"parts": [{"name": "y", "value": 1}, {"name": "x", "value": 3}]}})
    refused = await api.call("PATCH", one, a_widget(frozen="b", parts=[{"name": "x", "value": 1}]),
                             content_type="application/merge-patch+json")  # fmt: skip
    assert [(cause["field"], cause["message"]) for cause in refused.causes] == [
        ("spec.frozen", 'Invalid value: "b": immutable'),
        ("spec.parts[0].value", "Invalid value: 1: may not fall"),
    ]


async def test_a_rule_may_ask_for_what_was_where_there_was_nothing(api: Api) -> None:
    grows = "self > (oldSelf.hasValue() ? oldSelf.value() : 1)"
    await define(api, schema(a=ruled(NUMBER, grows, optionalOldSelf=True, message="grows"), b=NUMBER))
    assert await problems(api, a=1) == ["spec.a: Invalid value: 1: grows"]
    await api.post(WIDGETS, a_widget(a=2))
    refused = await api.call("PATCH", f"{WIDGETS}/one", {"spec": {"a": 1}},
                             content_type="application/merge-patch+json")  # fmt: skip
    assert [cause["message"] for cause in refused.causes] == ["Invalid value: 1: grows"]
    assert (await api.patch(f"{WIDGETS}/one", {"spec": {"a": 3}}))["spec"] == {"a": 3}


async def test_an_object_outlives_a_stricter_schema_until_it_changes(api: Api) -> None:
    await define(api, schema(a=TEXT, b=TEXT, c=NUMBER))
    await api.post(WIDGETS, a_widget(a="old", b="old", c=1))
    path = f"{DEFINITIONS}/widgets.example.dev"
    stricter = schema(a=TEXT | {"maxLength": 2}, b=ruled(TEXT, "self == 'new'", message="not new"), c=NUMBER)
    definition = await api.get(path)
    definition["spec"] = a_definition(stricter)["spec"]
    await api.put(path, definition)
    one = f"{WIDGETS}/one"
    assert (await api.patch(one, {"spec": {"c": 2}}))["spec"] == {"a": "old", "b": "old", "c": 2}
    refused = await api.call("PATCH", one, {"spec": {"a": "older", "b": "older"}},
                             content_type="application/merge-patch+json")  # fmt: skip
    assert [cause["field"] for cause in refused.causes][:1] == ["spec.a"]


async def test_rules_see_the_name(api: Api) -> None:
    definition = a_definition(OPEN)
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["x-kubernetes-validations"] = [{"rule": "self.metadata.name.size() < 5", "message": "too long a name"}]
    await api.post(DEFINITIONS, definition)
    await api.post(WIDGETS, a_widget("four"))
    refused = await api.call("POST", WIDGETS, a_widget("longer"))
    assert refused.message == 'Widget.example.dev "longer" is invalid: <nil>: Invalid value: too long a name'


async def test_an_update_needs_a_version(api: Api) -> None:
    await define(api, OPEN)
    created = await api.post(WIDGETS, a_widget())
    refused = await api.call("PUT", f"{WIDGETS}/one", a_widget(a=1))
    assert refused.causes[0]["field"] == "metadata.resourceVersion"
    updated = await api.put(f"{WIDGETS}/one", created | {"spec": {"a": 1}, "status": {"b": 2}})
    assert (updated["spec"], updated["metadata"]["generation"], "status" in updated) == ({"a": 1}, 2, False)
    reported = await api.put(f"{WIDGETS}/one/status", updated | {"spec": {"a": 9}, "status": {"b": 2}})
    assert (reported["spec"], reported["status"], reported["metadata"]["generation"]) == ({"a": 1}, {"b": 2}, 2)


async def test_without_a_status_subresource_the_status_is_a_field(api: Api) -> None:
    await define(api, OPEN, subresources={})
    created = await api.post(WIDGETS, a_widget() | {"status": {"a": 1}})
    assert created["status"] == {"a": 1}
    assert (await api.call("PATCH", f"{WIDGETS}/one/status", {}, content_type=APPLY)).code == 404


async def test_a_custom_resource_scales(api: Api) -> None:
    paths = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    await define(api, schema(replicas=NUMBER), subresources={"status": {}, "scale": paths})
    await api.post(WIDGETS, a_widget(replicas=1))
    await api.patch(f"{WIDGETS}/one/status", {"status": {"replicas": 1, "selector": "a=b"}})
    scale = await api.get(f"{WIDGETS}/one/scale")
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 1})
    assert scale["status"] == {"replicas": 1, "selector": "a=b"}
    await api.put(f"{WIDGETS}/one/scale", scale | {"spec": {"replicas": 4}})
    assert (await api.get(f"{WIDGETS}/one"))["spec"]["replicas"] == 4


async def test_versions_are_views_of_one_object(api: Api) -> None:
    definition = a_definition(OPEN)
    (first,) = definition["spec"]["versions"]
    definition["spec"]["versions"].append(first | {"name": "v1beta1", "storage": False})
    await api.post(DEFINITIONS, definition)
    beta = "/apis/example.dev/v1beta1/namespaces/default/widgets"
    created = await api.post(beta, a_widget() | {"apiVersion": "example.dev/v1beta1"})
    assert created["apiVersion"] == "example.dev/v1beta1"
    assert (await api.get(f"{WIDGETS}/one"))["apiVersion"] == "example.dev/v1"
    assert (await api.get("/apis/example.dev"))["preferredVersion"]["version"] == "v1"


async def test_columns_come_from_the_definition(api: Api) -> None:
    columns = [
        {"name": "State", "type": "string", "jsonPath": ".status.state"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1},
        {"name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    await define(api, OPEN, additionalPrinterColumns=columns)
    await api.post(WIDGETS, a_widget(size=3))
    status = {"state": "Fine", "conditions": [{"type": "Busy", "status": "False"}, {"type": "Ready", "status": "True"}]}
    await api.patch(f"{WIDGETS}/one/status", {"status": status})
    table = await api.get(WIDGETS, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [head["name"] for head in table["columnDefinitions"]] == ["Name", "State", "Ready", "Size", "Since"]
    assert table["rows"][0]["cells"] == ["one", "Fine", "True", 3, "0s"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"properties": {"a": TEXT}}, "type"),
        (schema(a={}), "properties[a].type"),
        (schema(a={"type": "array"}), "properties[a].items"),
        (
            schema(a={"type": "array", "items": TEXT, "x-kubernetes-list-type": "map"}),
            "properties[a].x-kubernetes-list-map-keys",
        ),
        (schema(a=TEXT) | {"additionalProperties": TEXT}, "additionalProperties"),
        (schema(a=TEXT) | {"anyOf": [{"type": "object"}]}, "anyOf[0].type"),
        (ruled(schema(a=TEXT), "self.a =="), "x-kubernetes-validations[0].rule"),
    ],
)
async def test_a_schema_must_be_structural(api: Api, spec: Object, field: str) -> None:
    refused = await api.call("POST", DEFINITIONS, a_definition(spec))
    assert refused.code == 422
    prefix = "spec.validation.openAPIV3Schema.properties[spec]"
    assert f"{prefix}.{field}" in [cause["field"] for cause in refused.causes]


async def test_a_field_with_value_rules_is_declared(api: Api) -> None:
    definition = a_definition(schema(a=TEXT), subresources={})
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    root["anyOf"] = [{"properties": {"spec": {"properties": {"a": {"maxLength": 1}, "b": {"maxLength": 1}}}}}]
    refused = await api.call("POST", DEFINITIONS, definition)
    prefix = "spec.validation.openAPIV3Schema"
    assert refused.causes == [
        {
            "reason": "FieldValueRequired",
            "field": f"{prefix}.properties[spec].properties[b]",
            "message": f"Required value: because it is defined in {prefix}.anyOf[0].properties[spec].properties[b]",
        }
    ]


async def test_what_is_wrong_in_one_of_several_versions_names_the_version(api: Api) -> None:
    definition, other = a_definition(schema(a={})), a_definition(OPEN)["spec"]["versions"][0]
    definition["spec"]["versions"].append(other | {"name": "v2", "storage": False})
    refused = await api.call("POST", DEFINITIONS, definition)
    prefix = "spec.versions[0].schema.openAPIV3Schema.properties[spec]"
    assert [cause["field"] for cause in refused.causes] == [f"{prefix}.properties[a].type"]


async def test_a_schema_inside_a_schema_is_read_too(api: Api) -> None:
    broken = schema(a={"type": "array", "items": schema(n=TEXT) | {"required": [False]}})
    refused = await api.call("POST", DEFINITIONS, a_definition(broken))
    assert (refused.code, "of type string" in refused.message) == (400, True)


async def test_a_definition_is_named_after_its_resource(api: Api) -> None:
    definition = a_definition(OPEN) | {"metadata": {"name": "other"}}
    refused = await api.call("POST", DEFINITIONS, definition)
    assert 'must be spec.names.plural+"."+spec.group' in refused.message


def our_own() -> list[Object]:
    files = sorted((REPOSITORY / "manifests" / "crds").glob("*s.yaml"))
    return [yaml.safe_load(file.read_text()) for file in files]


@pytest.mark.parametrize("definition", our_own(), ids=lambda each: each["spec"]["names"]["singular"])
async def test_our_own_definitions_are_served(api: Api, definition: Object) -> None:
    await api.post(DEFINITIONS, definition, fieldValidation="Strict")
    kind = definition["spec"]["names"]["kind"]
    scope = "" if definition["spec"]["scope"] == "Cluster" else "namespaces/default/"
    path = f"/apis/trainyard.dev/v1alpha1/{scope}{definition['spec']['names']['plural']}"
    empty = {"apiVersion": "trainyard.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}}
    refused = await api.call("POST", path, empty)
    assert refused.causes[0] == {"reason": "FieldValueRequired", "message": "Required value", "field": "spec"}
