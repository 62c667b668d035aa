"""The type checker knows nothing of TensorFlow and Keras, so a name of theirs that does not exist is found here."""

import ast
import types
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import trainyard_trainer

ROOTS = {"tf": tf, "keras": keras}
FILES = sorted(Path(next(iter(trainyard_trainer.__path__))).rglob("*.py"))


def chains(tree: ast.AST) -> Iterator[list[str]]:
    """Yield the names of each attribute that is asked of TensorFlow or Keras."""
    for node in ast.walk(tree):
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        if names and isinstance(node, ast.Name) and node.id in ROOTS:
            yield [node.id, *names]


def missing(chain: list[str]) -> str | None:
    """Return the first name of a chain that its module does not have; what objects have is not known."""
    found = ROOTS[chain[0]]
    for place, name in enumerate(chain[1:], 1):
        if not isinstance(found, types.ModuleType):
            return None
        if not hasattr(found, name):
            return ".".join(chain[: place + 1])
        found = getattr(found, name)
    return None


def test_a_name_that_does_not_exist_is_found() -> None:
    whole, part = chains(ast.parse("tf.distribute.NoSuchServer(1)"))

    assert missing(whole) == "tf.distribute.NoSuchServer"
    assert missing(part) is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_all_names_of_tensorflow_and_keras_exist() -> None:
    asked = {
        f"{path.name}: {'.'.join(chain)}": missing(chain)
        for path in FILES
        for chain in chains(ast.parse(path.read_text()))
    }

    assert len(asked) > 100
    assert {where for where, name in asked.items() if name} == set()
