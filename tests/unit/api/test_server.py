"""The flags that `extraArgs` takes are those that the page lists and that the model server knows."""

import re
from pathlib import Path

from support.pages import blocks
from trainyard_api import server

ROOT = Path(__file__).parents[3]


def test_the_page_lists_the_flags_that_are_free() -> None:
    (listed,) = blocks(ROOT / "docs" / "how-to" / "server.md", "text")

    assert re.split(r",\s+", listed.strip()) == list(server._FREE)


def test_every_flag_of_tensorflow_serving_is_ours_or_free() -> None:
    flags = (ROOT / "modelserver" / "trainyard_modelserver" / "flags.py").read_text(encoding="utf-8")
    known = set(re.findall(r"^    (\w+): \w+ = _flag\(", flags, re.MULTILINE))

    assert len(known) > 40
    assert {*server._OURS, *server._FREE} == known
    assert not set(server._OURS) & set(server._FREE)
