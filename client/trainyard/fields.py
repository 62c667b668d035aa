"""Holds manifests to the resources' models before anything is sent: unknown fields, wrong types, wrong forms."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainyard.cluster import Manifest
from trainyard.errors import Usage
from trainyard_api.fit import ALWAYS_REPORTED
from trainyard_api.forms import FORMS, NAME_LENGTH, NAME_PATTERN
from trainyard_api.meta import API_VERSION, ApiModel
from trainyard_api.modelservice import ModelService
from trainyard_api.suggestions import did_you_mean, listed
from trainyard_api.trainingjob import TrainingJob

MOST_PROBLEMS = 5
_MODELS: dict[str, type[ApiModel]] = {"TrainingJob": TrainingJob, "ModelService": ModelService}
_TYPES = {
    "string_type": "a text: put it in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list, such as [a, b]",
    "dict_type": "a mapping of names to values",
    "model_type": "fields below it",
    "model_attributes_type": "fields below it",
}
_Model = TypeVar("_Model", bound=ApiModel)


def checked(manifest: Mapping[str, Any]) -> Manifest:
    """Return a manifest with its fields in their wire names.

    Raises:
        Usage: it is no TrainingJob or ModelService, or a field is unknown, missing or wrong; five are named at most.
    """
    kind = manifest.get("kind")
    if manifest.get("apiVersion") != API_VERSION or kind not in _MODELS:
        found = f"{manifest.get('apiVersion')} {kind}"
        raise Usage(f"expected apiVersion {API_VERSION} and kind TrainingJob or ModelService, got {found}")
    _check_name(manifest)
    model = _parsed(_MODELS[str(kind)], manifest)
    written = model.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"status"})
    return {"apiVersion": API_VERSION, "kind": kind} | written


def check(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a manifest as it is written: the API server converts no types and no names."""
    kind = manifest.get("kind")
    if manifest.get("apiVersion") != API_VERSION or kind not in _MODELS:
        known = " or ".join(_MODELS)
        yield (
            f"expected apiVersion {API_VERSION} and kind {known}, got {manifest.get('apiVersion')} {kind}"
            f"{did_you_mean(str(kind), _MODELS) if kind not in _MODELS else f'; write apiVersion: {API_VERSION}'}"
        )
        return
    try:
        _check_name(manifest)
    except Usage as error:
        yield str(error)
    model = _MODELS[str(kind)]
    try:
        text = json.dumps(manifest, default=str)
        model.model_validate_json(text, strict=True, extra="forbid", by_alias=True, by_name=False)
    except ValidationError as error:
        yield from {_path(detail["loc"]): _problem(model, detail) for detail in error.errors()}.values()


def parsed(model: type[_Model], manifest: Mapping[str, Any]) -> _Model:
    """Return what the API server answered as a typed object; fields of newer versions are left out."""
    return model.model_validate(manifest)


def slug(text: str, length: int = NAME_LENGTH) -> str:
    """Return the name that comes nearest to a text; empty where nothing of it can be in a name.

    >>> slug("My Penguins (2)")
    'my-penguins-2'
    """
    return re.sub("[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:length].strip("-")


def _check_name(manifest: Mapping[str, Any]) -> None:
    name = str((manifest.get("metadata") or {}).get("name") or "")
    if not re.fullmatch(NAME_PATTERN.strip("^$"), name) or len(name) > NAME_LENGTH:
        raise Usage(
            f"metadata.name: expected {FORMS[NAME_PATTERN]}, got {name!r}"
            + (f"; write {better!r}" if (better := slug(name)) else "")
        )


def _parsed(model: type[ApiModel], manifest: Mapping[str, Any]) -> ApiModel:
    try:
        return model.model_validate(manifest, extra="forbid")
    except ValidationError as error:
        # Of a union each member complains; the last one is a text, whose form says most.
        found = {_path(detail["loc"]): _problem(model, detail) for detail in error.errors()}
    problems = list(found.values())
    more = f" (and {len(problems) - MOST_PROBLEMS} more)" if len(problems) > MOST_PROBLEMS else ""
    raise Usage("; ".join(problems[:MOST_PROBLEMS]) + more)


def _problem(root: type[BaseModel], error: ErrorDetails) -> str:
    location, kind = error["loc"], error["type"]
    where = _path(location)
    if kind == "extra_forbidden":
        known = list(_known_fields(root, location[:-1]))
        name = str(location[-1])
        return f"{where}: unknown field {name!r}{_better(root, name, known)}"
    if kind == "missing":
        return f"{where} is missing"
    if location[-2:-1] == ("metrics",) and error["input"] in ALWAYS_REPORTED:
        return f"{where}: {error['input']} is reported always: remove it"
    got = f"got {json.dumps(error['input'], default=str)[:120]}"
    if kind in ("int_type", "float_type", "bool_type") and _is_number(error["input"]):
        return f"{where}: expected {_TYPES[kind]}, {got}: remove the quotes"
    if kind == "value_error":
        return f"{where}: {error['msg'].removeprefix('Value error, ').partition(', got ')[0]}, {got}"
    known = list(_known_fields(root, location)) if kind in ("model_type", "model_attributes_type") else []
    expected = f"the fields {listed(known, 12)} below it" if known else _expected(root, error)
    return f"{where}: expected {expected}, {got}{_nearest(error)}"


def _is_number(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?|true|false", value) is not None


def _better(root: type[BaseModel], name: str, known: list[str]) -> str:
    """Say what a field that is unknown at its place may mean: another one here, or the same elsewhere."""
    elsewhere = [path for path, field in _all_fields(root.model_fields["spec"].annotation, "spec") if field == name]
    if near := did_you_mean(name, known):
        return near
    if 0 < len(elsewhere) < 4:
        return f"; it belongs at {' or '.join(elsewhere)}"
    return f"; the fields here are {listed(known, 12)}" if known else ""


def _all_fields(annotation: Any, path: str) -> Iterator[tuple[str, str]]:
    for model in _models_in(annotation):
        for name, field in model.model_fields.items():
            written = field.alias or name
            yield f"{path}.{written}", written
            yield from _all_fields(field.annotation, f"{path}.{written}")


def _nearest(error: ErrorDetails) -> str:
    if error["type"] != "literal_error":
        return ""
    return did_you_mean(str(error["input"]), re.findall(r"'([^']*)'", str((error.get("ctx") or {})["expected"])))


def _expected(root: type[BaseModel], error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "string_type" and (pattern := _pattern_at(root, error["loc"])):
        return FORMS[pattern]
    if kind in _TYPES:
        return _TYPES[kind]
    if kind == "string_pattern_mismatch":
        return FORMS.get(str(context["pattern"]), "a text of another form")
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(context["expected"]))
        return f"one of {', '.join(choices)}"
    return re.sub("^(be )?(greater|less)", r"a value \2", error["msg"].removeprefix("Input should ")).removeprefix(
        "have "
    )


def _path(location: tuple[int | str, ...]) -> str:
    # pydantic names the members of a union too: `constrained-str` is no field.
    parts = [part for part in location if isinstance(part, int) or re.fullmatch(r"[\w.]+", part)]
    return ".".join(str(part) for part in parts if part not in ("int", "str", "float"))


def _known_fields(root: type[BaseModel], location: tuple[int | str, ...]) -> Iterator[str]:
    model: type[BaseModel] | None = root
    for part in location:
        model = _model_of(model, part) if model else None
    if model:
        yield from (field.alias or name for name, field in model.model_fields.items())


def _model_of(model: type[BaseModel], part: int | str) -> type[BaseModel] | None:
    if isinstance(part, int):
        return model
    field = next((field for name, field in model.model_fields.items() if part in (name, field.alias)), None)
    return next(_models_in(field.annotation), None) if field else None


def _pattern_at(root: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    model: type[BaseModel] | None = root
    for part in location[:-1]:
        model = _model_of(model, part) if model else None
    fields = model.model_fields.items() if model else ()
    found = next((field for name, field in fields if location[-1] in (name, field.alias)), None)
    patterns = re.findall(r"pattern='((?:[^'\\\\]|\\\\.)*)'", repr(found)) if found else []
    return patterns[0].replace("\\\\", "\\") if patterns else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
