"""What the tests of users' code share."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _modules_of_the_test_only() -> Iterator[None]:
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if not name.startswith(("trainyard", "keras", "tensorflow", "support")):
            del sys.modules[name]
