"""The configuration files."""

from pathlib import Path

import pytest

from trainyard_modelserver.config import (
    ModelConfig,
    check_labels,
    metrics_path,
    read_model_config,
    single_model,
)
from trainyard_modelserver.errors import Code, ServingError
from trainyard_modelserver.versions import All, Latest, Policy, Specific


def written(folder: Path, text: str) -> str:
    file = folder / "config"
    file.write_text(text)
    return str(file)


def models(*each: str) -> str:
    return "model_config_list {" + "".join(f"config {{ {text} }}" for text in each) + "}"


HEAD = 'name: "m" base_path: "/models/m" model_platform: "tensorflow"'


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", Latest(1)),
        ("model_version_policy { latest { num_versions: 3 } }", Latest(3)),
        ("model_version_policy { latest {} }", Latest(1)),
        ("model_version_policy { all {} }", All()),
        ("model_version_policy { specific { versions: 1 versions: 4 } }", Specific(frozenset({1, 4}))),
    ],
)
def test_a_model_is_read_with_its_policy(tmp_path: Path, policy: str, expected: Policy) -> None:
    config = read_model_config(written(tmp_path, models(f'{HEAD} {policy} version_labels {{ key: "a" value: 1 }}')))
    assert config == (ModelConfig("m", "/models/m", expected, {"a": 1}),)


def test_a_file_that_says_nothing_asks_for_no_action(tmp_path: Path) -> None:
    assert read_model_config(written(tmp_path, "")) is None
    assert read_model_config(written(tmp_path, "model_config_list {}")) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "INVALID_ARGUMENT: Invalid protobuf file: '{}'"),
        (models(HEAD, HEAD), "INVALID_ARGUMENT: Illegal to list model m multiple times in config list"),
        (
            models('name: "m" base_path: "m" model_platform: "tensorflow"'),
            "INVALID_ARGUMENT: Expected model m to have an absolute path or URI; got base_path()=m",
        ),
        (
            models('name: "m" base_path: "/m" model_platform: "other"'),
            "INVALID_ARGUMENT: Model m requests unsupported platform other",
        ),
        (
            models('name: "m" base_path: "/m"'),
            "INVALID_ARGUMENT: Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform.",
        ),
    ],
)
def test_what_is_refused_says_why(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ServingError) as raised:
        read_model_config(file)
    assert str(raised.value) == message.replace("{}", file)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ServingError) as raised:
        read_model_config(str(tmp_path / "none"))
    assert str(raised.value) == f"NOT_FOUND: {tmp_path}/none; No such file or directory"


def test_the_flags_stand_for_one_model_with_an_absolute_path() -> None:
    assert single_model("m", "/models/m") == (ModelConfig("m", "/models/m", Latest(), {}),)
    with pytest.raises(ServingError, match="Expected model m to have an absolute path or URI"):
        single_model("m", "models/m")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", None),
        ("prometheus_config { enable: false }", None),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { enable: true, path: "/metrics" }', "/metrics"),
    ],
)
def test_metrics_are_on_only_where_that_is_said(tmp_path: Path, text: str, path: str | None) -> None:
    assert metrics_path(written(tmp_path, text)) == path


def test_without_a_monitoring_file_there_are_no_metrics() -> None:
    assert metrics_path("") is None


@pytest.mark.parametrize(
    ("current", "available", "allow", "refused"),
    [
        ({}, [2], False, False),
        ({}, [1], False, True),
        ({}, [1], True, False),
        ({"a": 1}, [1], True, True),
        ({"a": 2}, [1], True, False),
    ],
)
def test_a_label_stands_on_a_version_that_serves(
    current: dict[str, int], available: list[int], allow: bool, refused: bool
) -> None:
    model = ModelConfig("m", "/m", Latest(), {"a": 2})
    if not refused:
        check_labels(model, current, available, allow_unavailable=allow)
        return
    with pytest.raises(ServingError) as raised:
        check_labels(model, current, available, allow_unavailable=allow)
    assert raised.value.code is Code.FAILED_PRECONDITION
    assert raised.value.message == (
        "Request to assign label to version 2 of model m, which is not currently available for inference"
    )
