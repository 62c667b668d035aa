"""The demo's live panel: its numbers are whole at every width."""

import io
import re

import pytest
from rich.console import Console

from demo.screen import sparkline, training_panel

RUNNING = {
    "metadata": {"name": "breast-cancer-2"},
    "status": {
        "phase": "Running",
        "progress": {
            "summary": "1000/1000", "epochs": 1000, "percent": 62, "loss": "0.05962", "samplesPerSecond": "123456",
            "eta": "12m34s", "metrics": {"val_accuracy": "0.98245614"},
        },
    },
}  # fmt: skip
LOSSES = [1 / (1 + epoch) for epoch in range(1000)]


def drawn(width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(training_panel(RUNNING, LOSSES))
    return capture.get().splitlines()


@pytest.mark.parametrize("width", [80, 100, 140, 174, 175, 240])
def test_the_panel_shows_its_numbers_whole(width: int) -> None:
    lines = drawn(width)

    assert {len(line) for line in lines} == {width}
    text = "\n".join(lines)
    for name in ("epoch", "loss", "val_accuracy", "rows/s", "left"):
        assert re.search(rf"\b{name}\b", text)
    for number in ("1000/1000", "0.05962", "0.98245614", "123456", "12m34s", "breast-cancer-2", "Running"):
        assert number in text
    assert "…" not in text


def test_the_curve_covers_the_whole_training() -> None:
    assert sparkline(LOSSES, 48)[0] == "█"
    assert (len(sparkline(LOSSES, 48)), len(sparkline(LOSSES[:5], 48)), sparkline([], 48)) == (48, 5, "")
