"""Which command stands for an image."""

from pathlib import Path
from typing import Any

import pytest

from trainyard_devcluster.node.images import Image, ImageError, find, load, public, with_free_ports

FILE = Path(__file__).parents[4] / "examples/demo/images.yaml"
PYTHONS = {"TRAINYARD_OPERATOR_PYTHON": "/op/python", "TRAINYARD_TRAINER_PYTHON": "/tr/python", "PATH": ""}


def of_the_demo() -> list[Image]:
    return [*load(FILE, PYTHONS), *public()]


def argv(image: str, variables: dict[str, str] | None = None, **container: Any) -> list[str]:
    spec = {"name": "c", "image": image, **container}
    found = find(of_the_demo(), spec)
    return found.argv(spec, dict(found.env) | (variables or {}))


@pytest.mark.parametrize(
    ("image", "container", "command"),
    [
        ("trainyard/operator:1.2.3", {}, ["/op/python", "-m", "trainyard_operator"]),
        ("ghcr.io/trainyard/operator@sha256:1", {}, ["/op/python", "-m", "trainyard_operator"]),
        ("trainyard/operator:1.2.3", {"args": ["--x"]}, ["/op/python", "-m", "trainyard_operator", "--x"]),
        (
            "trainyard/operator:1.2.3",
            {"command": ["python", "-m", "trainyard_fetcher"], "args": ["--source", "s"]},
            ["/op/python", "-m", "trainyard_fetcher", "--source", "s"],
        ),
        ("trainyard/trainer:1.2.3", {}, ["/tr/python", "-m", "trainyard_trainer"]),
        ("trainyard/trainer:1.2.3", {"command": ["python3", "-c", "1"]}, ["/tr/python", "-c", "1"]),
        ("busybox:1.36", {"command": ["sh", "-c"], "args": ["true"]}, ["sh", "-c", "true"]),
        ("busybox", {"command": ["echo", "$(A)"]}, ["echo", "1"]),
    ],
)
def test_an_image_stands_for_a_command(image: str, container: dict[str, Any], command: list[str]) -> None:
    assert argv(image, {"A": "1"}, **container) == command


def test_tensorflow_serving_gets_what_its_entrypoint_passes_and_then_the_arguments() -> None:
    command = argv("tensorflow/serving:2.20.0", {"MODEL_NAME": "churn"}, args=["--monitoring_config_file=/m"])
    assert command == [
        "/tr/python",
        "-m",
        "trainyard_modelserver",
        "--port=8500",
        "--rest_api_port=8501",
        "--model_name=churn",
        "--model_base_path=/models/churn",
        "--monitoring_config_file=/m",
    ]


def test_a_real_model_server_is_preferred_and_gets_ports_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorflow_model_server").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    spec = {"name": "c", "image": "tensorflow/serving:latest", "command": ["tensorflow_model_server", "--port=9000"]}
    found = find(of_the_demo(), spec)
    assert found.argv(spec, {}) == ["tensorflow_model_server", "--port=9000"]
    changed, ports = with_free_ports(
        ["s", "--port=8500", "--rest_api_port=8501", "--port=9000"], found.binds_all, iter([40001, 40002])
    )
    assert changed == ["s", "--port=8500", "--rest_api_port=40002", "--port=40001"]
    assert ports == {9000: 40001, 8501: 40002}


def test_a_command_of_this_machine_does_not_stand_for_an_unknown_image() -> None:
    with pytest.raises(ImageError, match="no local command stands for image"):
        argv("example.com/tools:1", command=["sh", "-c", "true"])


def test_an_unknown_image_is_refused_with_the_way_out() -> None:
    with pytest.raises(ImageError, match=r"no local command stands for image \"me/train:1\".*--images FILE"):
        argv("me/train:1")


def test_a_file_adds_entries(tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    entry = '{image: "me/train:*", entrypoint: [python, -m, me], env: {A: 1}, programs: {python: [/my/py]}}'
    file.write_text(f"- {entry}\n")
    (image,) = load(file)
    assert image.matches("registry:5000/me/train:7")
    assert image.argv({"args": ["$(A)"]}, dict(image.env)) == ["/my/py", "-m", "me", "1"]
    file.write_text("image: x")
    with pytest.raises(ValueError, match="expected a list of entries"):
        load(file)


def test_an_image_without_a_command_needs_one_from_the_container() -> None:
    with pytest.raises(ImageError, match="give the container one"):
        Image("me/empty:*").argv({}, {})


def test_a_program_may_be_a_variable_or_a_path_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "images.yaml"
    file.write_text('[{image: me, programs: {python: ["${PY:-../bin/python}", "${MORE}"]}}]')
    (named,) = load(file, {"PY": "/my/python", "MORE": "-I"})
    (default,) = load(file, {})
    assert named.programs["python"] == ("/my/python", "-I")
    assert default.programs["python"] == (str(tmp_path.parent / "bin/python"), "")


def test_an_entry_that_needs_a_program_counts_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "images.yaml"
    file.write_text("[{image: me, onlyWith: server}, {image: me, command: [other]}]")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(load(file)) == 1
    (tmp_path / "server").touch(mode=0o755)
    assert len(load(file)) == 2
