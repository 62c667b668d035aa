"""CustomResourceDefinitions: judging them, and the resources that they stand for."""

import re
from collections.abc import Iterator

from trainyard_devcluster.apiserver.cel import CelError, program
from trainyard_devcluster.apiserver.cluster import Cluster
from trainyard_devcluster.apiserver.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from trainyard_devcluster.apiserver.resource import Behaviour, Resource, Scale
from trainyard_devcluster.apiserver.schema.builtin import definition, object_meta
from trainyard_devcluster.apiserver.schema.node import Schema
from trainyard_devcluster.apiserver.schema.structural import structure_errors
from trainyard_devcluster.apiserver.tables.printer import printer_columns
from trainyard_devcluster.apiserver.values import Json, Object, dig

TABLE = "customresourcedefinitions.apiextensions.k8s.io"


def _default(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if names.get("kind"):
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})


def _prepare(cluster: Cluster, obj: Object, old: Object | None) -> None:
    """The names are accepted and the resource served as soon as the definition is stored."""
    spec, status = obj["spec"], dict(obj.get("status") or {})
    if not dig(status, "conditions"):
        status["conditions"] = [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", cluster.now),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", cluster.now),
        ]
    status["acceptedNames"] = spec["names"]
    stored = next((each.get("name") for each in spec.get("versions") or () if each.get("storage")), None)
    versions = list(status.get("storedVersions") or ())
    status["storedVersions"] = versions + ([stored] if stored and stored not in versions else [])
    obj["status"] = status


def _condition(kind: str, reason: str, message: str, now: str) -> Object:
    return {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}


def _validate(obj: Object) -> Iterator[FieldError]:
    spec = obj["spec"]
    group, names = spec.get("group", ""), spec.get("names") or {}
    wanted = f"{names.get('plural', '')}.{group}"
    if obj["metadata"].get("name") != wanted:
        yield invalid_value("metadata.name", obj["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group')
    if "." not in group:
        yield invalid_value("spec.group", group, "should be a domain with at least one dot")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        yield FieldError(
            "FieldValueNotSupported", "spec.scope",
            f'Unsupported value: "{spec.get("scope", "")}": supported values: "Cluster", "Namespaced"',
        )  # fmt: skip
    versions = spec.get("versions") or ()
    if sum(bool(each.get("storage")) for each in versions) != 1:
        yield invalid_value("spec.versions", [], "must have exactly one version marked as storage version")
    # What all versions have in common Kubernetes keeps, and judges, in one place.
    schemas = [each.get("schema") for each in versions]
    common = all(each == schemas[0] for each in schemas)
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version.get("name") in seen:
            yield duplicate(f"spec.versions[{index}].name", version["name"])
        seen.add(version.get("name", ""))
        path = f"spec.versions[{index}]"
        yield from _validate_columns(version, path)
        if index == 0 or not common:
            yield from _validate_schema(version, "spec.validation" if common else f"{path}.schema")
    if group.endswith((".k8s.io", ".kubernetes.io")):
        key = "api-approved.kubernetes.io"
        if not (obj["metadata"].get("annotations") or {}).get(key):
            yield required(f"metadata.annotations[{key}]", "protected groups must have approval annotation")


def _validate_schema(version: Object, path: str) -> Iterator[FieldError]:
    schema = dig(version, "schema", "openAPIV3Schema")
    if not isinstance(schema, dict):
        yield required(f"{path}.openAPIV3Schema", "schemas are required")
        return
    yield from structure_errors(schema, f"{path}.openAPIV3Schema", root=True)
    yield from _rule_errors(schema, f"{path}.openAPIV3Schema")


def _validate_columns(version: Object, path: str) -> Iterator[FieldError]:
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        if not column.get("jsonPath", "").startswith("."):
            yield invalid_value(
                f"{path}.additionalPrinterColumns[{index}].jsonPath",
                column.get("jsonPath"),
                "must be a simple json path starting with .",
            )


def _rule_errors(schema: Json, path: str) -> Iterator[FieldError]:
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        at = f"{path}.x-kubernetes-validations[{index}]"
        if not rule.get("rule", "").strip():
            yield required(f"{at}.rule", "rule is not specified")
            continue
        for field in ("rule", "messageExpression"):
            try:
                program(rule.get(field) or "true")
            except CelError as error:
                yield invalid_value(f"{at}.{field}", rule[field], f"compilation failed: {error}")
    for name, child in (schema.get("properties") or {}).items():
        yield from _rule_errors(child, f"{path}.properties[{name}]")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from _rule_errors(schema[keyword], f"{path}.{keyword}")


def _validate_update(new: Object, old: Object) -> Iterator[FieldError]:
    for field in ("group", "scope"):
        if new["spec"].get(field) != old["spec"].get(field):
            yield invalid_value(f"spec.{field}", new["spec"].get(field), "field is immutable")
    for field in ("plural", "kind"):
        if dig(new, "spec", "names", field) != dig(old, "spec", "names", field):
            yield forbidden_field(f"spec.names.{field}", "may not change once the resource is served")


BEHAVIOUR = Behaviour(default=_default, prepare=_prepare, validate=_validate, validate_update=_validate_update)


def resources_of(crd: Object) -> Iterator[Resource]:
    """Yield a resource for each served version of a definition, newest stability first."""
    spec = crd["spec"]
    for version in sorted(spec["versions"], key=lambda each: version_rank(each["name"])):
        if version.get("served"):
            yield _resource(crd, version)


def _resource(crd: Object, version: Object) -> Resource:
    spec, names = crd["spec"], crd["spec"]["names"]
    subresources = version.get("subresources") or {}
    api_version = f"{spec['group']}/{version['name']}"
    storage = next(each["name"] for each in spec["versions"] if each.get("storage"))
    stored = f"{spec['group']}/{storage}"
    alike = stored == api_version
    return Resource(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names["singular"],
        list_kind=names["listKind"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        namespaced=spec["scope"] == "Namespaced",
        schema=custom_schema(version["schema"]["openAPIV3Schema"]),
        status="status" in subresources,
        scale=_scale(subresources.get("scale")),
        generation=True,
        columns=printer_columns(version.get("additionalPrinterColumns") or ()),
        fields=frozenset(each["jsonPath"].lstrip(".") for each in version.get("selectableFields") or ()),
        custom=crd,
        convert=None if alike else lambda obj: obj | {"apiVersion": api_version},
        convert_back=None if alike else lambda obj: obj | {"apiVersion": stored},
    )


def custom_schema(raw: Object) -> Schema:
    """Return the schema of a custom resource, whose metadata is everyone's."""
    cleaned = raw | {"properties": {k: v for k, v in (raw.get("properties") or {}).items() if k != "metadata"}}
    text = Schema({"type": "string"}, definition, native=False)
    properties = {"apiVersion": text, "kind": text, "metadata": object_meta()}
    return Schema({"type": "object"} | cleaned, definition, native=False, properties=properties)


def _scale(paths: Object | None) -> Scale | None:
    if paths is None:
        return None
    selector = paths.get("labelSelectorPath")
    return Scale(
        _keys(paths["specReplicasPath"]), _keys(paths["statusReplicasPath"]), _keys(selector) if selector else None
    )


def _keys(path: str) -> tuple[str, ...]:
    return tuple(path.strip(".").split("."))


def version_rank(name: str) -> tuple[int, int, int, str]:
    """Return a sort key that puts versions in Kubernetes' order: v2, v1, v1beta1, v1alpha1, others."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", name)
    if not found:
        return (3, 0, 0, name)
    stability = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return (stability, -int(found[1]), -int(found[3] or 0), "")
