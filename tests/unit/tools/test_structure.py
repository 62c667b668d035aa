"""The shape of the packages: no import cycles, and class names that mean one thing."""

from pathlib import Path

import pytest

from tools.structure import Package, cycles, main, packages, read_package

HELD = (
    "trainyard_api",
    "trainyard_fetcher",
    "trainyard_modelserver",
    "trainyard_operator",
    "trainyard_trainer",
    "tools",
)
"""Packages without cycles and duplicate names; a package that gets there joins them."""

MOST_ANY = 200
"""How often the trainer may say `Any`: where TensorFlow, Keras or Arrow leave no other word."""


@pytest.fixture(scope="module")
def found() -> dict[str, Package]:
    return {package.name: package for package in packages()}


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({"a": {"b"}, "b": {"c"}, "c": set()}, [], id="layers"),
        pytest.param({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}, [], id="diamond"),
        pytest.param({"a": {"b"}, "b": {"a"}}, [["a", "b"]], id="two"),
        pytest.param({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]], id="three and one above"),
        pytest.param(
            {"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}, [["a", "b"], ["c", "d"]], id="one above another"
        ),
    ],
)
def test_cycles_are_found(imports: dict[str, set[str]], expected: list[list[str]]) -> None:
    assert cycles(imports) == expected


def a_package(folder: Path, files: dict[str, str]) -> Package:
    for name, text in files.items():
        path = folder / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return read_package(folder / "house")


def test_a_package_tells_its_cycles_names_and_anys(tmp_path: Path) -> None:
    package = a_package(
        tmp_path,
        {
            "top/one.py": "from typing import Any\nfrom house.low.two import Two\nclass One: ...\ndef f(a: Any): ...\n",
            "low/two.py": "class Two: ...\ndef late():\n    from house.top import three\n",
            "low/other.py": "import typing\nclass One:\n    x: list[typing.Any]\n",
            "top/three.py": "class Three: ...\n",
        },
    )

    assert package.cycles() == [["low", "top"]]
    assert package.duplicate_classes() == ["One"]
    assert package.any_count == 2
    assert {module.name: module.functions for module in package.modules}["house.low.two"] == (2,)


def test_generated_files_do_not_count(tmp_path: Path) -> None:
    package = a_package(tmp_path, {"own.py": "x = 1\n", "wire_pb2.py": "class Own: ...\n"})

    assert [module.name for module in package.modules] == ["house", "house.own"]


@pytest.mark.parametrize("name", HELD)
def test_a_package_does_not_import_itself_in_circles(found: dict[str, Package], name: str) -> None:
    assert found[name].modules
    assert found[name].cycles() == []


@pytest.mark.parametrize("name", HELD)
def test_a_class_name_means_one_thing_in_a_package(found: dict[str, Package], name: str) -> None:
    assert found[name].modules
    assert found[name].duplicate_classes() == []


def test_the_trainer_says_what_its_types_are(found: dict[str, Package]) -> None:
    assert 0 < found["trainyard_trainer"].any_count < MOST_ANY


def test_the_report_has_a_line_for_each_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0

    assert "trainyard_trainer" in capsys.readouterr().out
