"""Numbers and curves as people see them."""

import doctest
import io
import json
import math
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from trainyard.errors import Usage
from trainyard.history import Epoch, History, from_csv, from_log
from trainyard.screen.plots import figure, page, terminal
from trainyard.screen.words import sparkline


def a_history(*losses: float, name: str = "loss") -> History:
    return History(tuple(Epoch(at, {name: loss}) for at, loss in enumerate(losses, 1)))


def drawn(
    histories: dict[str, History], metrics: Sequence[str] = (), *, width: int = 80, encoding: str = "utf-8"
) -> str:
    class Stream(io.StringIO):
        @property
        def encoding(self) -> str:  # type: ignore[override]
            return encoding

    console = Console(file=Stream(), width=width, color_system=None)
    console.print(terminal(histories, metrics, console))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("module", ["plan", "settings", "fields", "tables", "screen.words"])
def test_examples_in_the_code_hold(module: str) -> None:
    failed, tried = doctest.testmod(import_module(f"trainyard.{module}"))

    assert tried
    assert not failed


@pytest.mark.parametrize(
    ("values", "width", "curve"),
    [
        pytest.param([3.0, 2.0, 1.0], 10, "█▄▁", id="short"),
        pytest.param(list(range(100)), 5, "▁▂▄▆█", id="longer than the line: from the first to the last"),
        pytest.param([1.0, math.nan, 2.0], 5, "▁█", id="a value that is none"),
        pytest.param([1.0], 5, "", id="a single value"),
        pytest.param([2.0, 2.0], 5, "▁▁", id="always the same"),
    ],
)
def test_a_sparkline_covers_the_whole_training(values: list[float], width: int, curve: str) -> None:
    assert sparkline(values, width) == curve


def test_without_unicode_everything_is_ascii() -> None:
    assert sparkline([1.0, 3.0, 2.0], 5, ascii_only=True).isascii()
    assert drawn({"a": a_history(3, 2, 1)}, encoding="ascii").isascii()


def test_several_curves_share_a_chart_and_can_be_told_apart_without_colours() -> None:
    told = drawn({"churn-1": a_history(3, 2, 1), "churn-2": a_history(4, 3, 2.5)})

    assert "* churn-1 1" in told
    assert "o churn-2 2.5" in told
    assert told.count("*") > 2
    assert told.count("o") > 2


@pytest.mark.parametrize("width", [pytest.param(80, id="narrow"), pytest.param(140, id="wide")])
def test_charts_fit_the_terminal_and_have_whole_epochs(width: int) -> None:
    told = drawn({"a": a_history(*[1 / n for n in range(1, 200)])}, width=width)

    assert max(map(len, told.splitlines())) <= width
    assert "199" in told
    assert "34.2" not in told


def test_a_page_draws_every_curve_needs_nothing_else_and_escapes_names() -> None:
    told = page({"<b>": a_history(3, 2, 1), "other": a_history(1, 1, 1)}, ["loss"])

    assert told.count("<polyline") == 2
    assert "<b>" not in told
    assert "&lt;b&gt;" in told
    assert "src=" not in told
    assert "<script" not in told
    assert "prefers-color-scheme: dark" in told


def test_there_is_nothing_to_draw_before_the_first_epoch() -> None:
    with pytest.raises(Usage, match="churn-1: no epoch is told yet"):
        drawn({"churn-1": History()})


def test_a_figure_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(Usage, match="pip install matplotlib"):
        figure({"a": a_history(3, 2, 1)}, (), path=tmp_path / "a.png")


def test_the_history_of_a_file_is_that_of_the_log() -> None:
    text = "epoch,steps,seconds,learning_rate,loss,val_loss\n1,10,0.1,0.001,0.5,\n2,20,0.1,0.001,0.25,0.3\n"
    lines = [
        json.dumps({"time": "t", "event": "epoch", "message": "", "epoch": 1, "step": 10, "loss": 0.5}),
        json.dumps({"event": "data", "rows": 3, "message": ""}),
        "{not json",
        json.dumps({"event": "epoch", "message": "", "epoch": 2, "loss": 0.25, "val_loss": 0.3, "samplesPerSecond": 9}),
    ]

    assert from_csv(text) == from_log(lines)
    assert from_csv(text).metrics == ["loss", "val_loss"]
