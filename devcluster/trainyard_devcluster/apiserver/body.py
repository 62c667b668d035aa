"""Request bodies: JSON, YAML and protobuf, with the fields that appear twice."""

import json
from dataclasses import dataclass, field

import yaml

from trainyard_devcluster.apiserver.errors import bad_request, unsupported_media_type
from trainyard_devcluster.apiserver.protobuf import PROTOBUF_TYPE, parse_protobuf
from trainyard_devcluster.apiserver.values import Json

JSON_TYPE, YAML_TYPE = "application/json", "application/yaml"


@dataclass(slots=True)
class Body:
    """A parsed body."""

    value: Json
    duplicates: list[str] = field(default_factory=list)


class _Loader(yaml.CSafeLoader):
    """YAML as JSON: dates stay texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def parse(content: bytes, content_type: str) -> Body:
    """Return the value of a body; without a type it is JSON.

    Raises:
        ApiError: 400, it is not in the form it claims; 415, it claims a form that is not understood.
    """
    if content_type == PROTOBUF_TYPE:
        return Body(parse_protobuf(content))
    if content_type in (YAML_TYPE, "application/apply-patch+yaml"):
        return _parse_yaml(content)
    if content_type and not content_type.endswith("json"):
        raise unsupported_media_type(content_type, [JSON_TYPE, YAML_TYPE])
    return _parse_json(content)


def _parse_json(content: bytes) -> Body:
    body = Body(None)

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            body.duplicates += sorted({name for name in names if names.count(name) > 1})
        return found

    try:
        body.value = json.loads(content, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the object provided is unrecognized (must be of type JSON): {error}") from error
    return body


def _parse_yaml(content: bytes) -> Body:
    body = Body(None)
    try:
        loader = _Loader(content)
        try:
            node = loader.get_single_node()
            if node is not None:
                _find_duplicates(node, body.duplicates)
                body.value = loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    return body


def _find_duplicates(node: yaml.Node, found: list[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        names = [key.value for key, _ in node.value]
        found += sorted({name for name in names if names.count(name) > 1})
        for _, value in node.value:
            _find_duplicates(value, found)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _find_duplicates(item, found)
