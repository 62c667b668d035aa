"""Paths of the REST API."""

import pytest

from trainyard_modelserver.errors import ServingError
from trainyard_modelserver.rest_path import Target, is_api_path, parse_path


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "/v1/models", Target("", "", None, None)),
        ("GET", "/v1/models/m", Target("m", "", None, None)),
        ("GET", "/V1/Models/m", Target("m", "", None, None)),
        ("GET", "/v1/models/m/versions/12", Target("m", "", 12, None)),
        ("GET", "/v1/models/m/labels/stable", Target("m", "", None, "stable")),
        ("GET", "/v1/models/m/metadata", Target("m", "metadata", None, None)),
        ("GET", "/v1/models/m/versions/12/metadata", Target("m", "metadata", 12, None)),
        ("GET", "/v1/models/metadata", Target("metadata", "", None, None)),
        # A verb in capitals is found, but is none that means anything.
        ("GET", "/v1/models/m/METADATA", Target("m", "METADATA", None, None)),
        ("POST", "/v1/models/m:Predict", Target("m", "Predict", None, None)),
        ("POST", "/v1/models/m:predict", Target("m", "predict", None, None)),
        ("POST", "/v1/models/m/versions/0:classify", Target("m", "classify", 0, None)),
        ("POST", "/v1/models/m/labels/a%20b:regress", Target("m", "regress", None, "a b")),
        ("POST", "/v1/models/a%2Fb%3a:predict", Target("a/b:", "predict", None, None)),
        # The query is part of what is matched.
        ("GET", "/v1/models/m?x=1", Target("m?x=1", "", None, None)),
    ],
)
def test_a_path_is_taken_apart(method: str, path: str, target: Target) -> None:
    assert parse_path(method, path) == target


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/models/m:predict"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/models/m/versions/x"),
        ("GET", "/v1/models/m/versions/1/labels/a"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:multi_inference"),
        ("PUT", "/v1/models/m:predict"),
        ("DELETE", "/v1/models/m"),
    ],
)
def test_anything_else_is_malformed(method: str, path: str) -> None:
    with pytest.raises(ServingError) as raised:
        parse_path(method, path)
    assert str(raised.value) == f"INVALID_ARGUMENT: Malformed request: {method} {path}"


def test_a_version_must_fit_in_64_bits() -> None:
    with pytest.raises(ServingError) as raised:
        parse_path("GET", "/v1/models/m/versions/9223372036854775808")
    assert raised.value.message == "Failed to convert version: 9223372036854775808 to numeric."


@pytest.mark.parametrize(
    ("path", "ours"), [("/v1/x", True), ("/V1/", True), ("/v1", False), ("/", False), ("/v2/models", False)]
)
def test_only_paths_under_v1_are_the_apis(path: str, ours: bool) -> None:
    assert is_api_path(path) is ours
