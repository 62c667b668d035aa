"""A log line is one line, whoever's words it quotes."""

import io
import json
import logging

import pytest

from trainyard_operator.runtime.logs import JsonFormatter, OneLine
from trainyard_operator.workloads.text import clean


@pytest.mark.parametrize("form", [pytest.param(logging.Formatter("%(message)s"), id="text"), JsonFormatter()])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param("a\nERROR forged: b", id="a second line"),
        pytest.param("\x1b[2Jgone\x00", id="control characters"),
        pytest.param("\udc80 alone", id="a lone surrogate"),
        pytest.param("x" * 1_000_000, id="a novel"),
    ],
)
def test_what_others_said_stays_one_line_of_bounded_length(form: logging.Formatter, said: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form)
    handler.addFilter(OneLine(clean))
    logger = logging.Logger("test")
    logger.addHandler(handler)

    logger.warning("refused: %s", said)

    (line,) = stream.getvalue().splitlines()
    assert line.encode()
    assert "refused: " in line
    assert len(line) < 5000
    assert line.isprintable()
    if isinstance(form, JsonFormatter):
        assert json.loads(line)["level"] == "warning"
