"""Requests that come together are computed together, and each gets its own answer."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.serving_client import Saved, Serve
from support.serving_models import publish
from trainyard_modelserver.batching import Batcher, Parameters, read_parameters
from trainyard_modelserver.errors import Code, ServingError

FULL = """max_batch_size { value: 8 }
batch_timeout_micros { value: 2000 }
num_batch_threads { value: 3 }
max_enqueued_batches { value: 5 }
allowed_batch_sizes: 2
allowed_batch_sizes: 8
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FULL, Parameters(8, 2000, 5, 3, (2, 8))),
        ("", Parameters(1000, 0, 10, 4)),
        ("max_batch_size { value: 8 } thread_pool_name { value: 'a' }", Parameters(8, 0, 10, 4)),
    ],
)
def test_parameters_are_read(tmp_path: Path, text: str, expected: Parameters) -> None:
    file = tmp_path / "batching.config"
    file.write_text(text)

    assert read_parameters(str(file), cpus=4) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_batch_size: 8", "Invalid protobuf file"),
        ("max_batch_size { value: 0 }", "must be positive"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "max_batch_size; last entry was 4; expected 8",
        ),
        ("allowed_batch_sizes: 8 allowed_batch_sizes: 4", "monotonically increasing"),
        ("pad_variable_length_inputs: true", "not offered"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "batching.config"
    file.write_text(text)

    with pytest.raises(ServingError, match=said):
        read_parameters(str(file), cpus=4)


class Doubling:
    """A model that remembers how many rows it was given at a time, and can be held up."""

    def __init__(self, compute: Callable[[Any], Any] = lambda x: 2 * x) -> None:
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self._compute = compute

    def run(self, feeds: Any, fetches: Any, *, timed: bool = False) -> list[Any]:
        self.go.wait(30)
        self.sizes.append(len(feeds["x"]))
        return [self._compute(feeds["x"])]


def run(batcher: Batcher, model: Any, *rows: float) -> Any:
    return batcher.run(model, {"x": np.array(rows, "float32")}, ["y"], timed=False)[0].tolist()


def test_requests_that_come_together_are_one_batch_and_each_gets_its_rows() -> None:
    model, batcher = Doubling(), Batcher(Parameters(max_batch_size=6, timeout_micros=30_000_000))

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda rows: run(batcher, model, *rows), [(1, 2), (3,), (4,), (5, 6)]))

    assert answers == [[2, 4], [6], [8], [10, 12]]
    assert model.sizes == [6]


def test_what_does_not_fit_makes_the_next_batch() -> None:
    model, batcher = Doubling(), Batcher(Parameters(max_batch_size=3, timeout_micros=200_000))

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda rows: run(batcher, model, *rows), [(1, 2), (3, 4)]))

    assert answers == [[2, 4], [6, 8]]
    assert model.sizes == [2, 2]


def test_batches_are_filled_up_to_an_allowed_size() -> None:
    model, batcher = Doubling(), Batcher(Parameters(max_batch_size=8, allowed_sizes=(4, 8)))

    assert run(batcher, model, 1, 2, 3) == [2, 4, 6]
    assert model.sizes == [4]


def test_other_shapes_and_other_models_are_not_mixed() -> None:
    model, other = Doubling(), Doubling(lambda x: 3 * x)
    batcher = Batcher(Parameters(max_batch_size=2, timeout_micros=100_000))

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(run, batcher, model, 1), pool.submit(run, batcher, other, 1)

    assert (one.result(), two.result()) == ([2], [3])


@pytest.mark.parametrize(
    ("feeds", "said"),
    [
        ({"x": np.zeros(9)}, "Task size 9 is larger than maximum input batch size 8"),
        ({"x": np.float32(1)}, "must have at least one dimension"),
        ({"x": np.zeros(2), "z": np.zeros(3)}, "must have equal 0th-dimension size"),
    ],
)
def test_what_cannot_be_batched_is_refused(feeds: Any, said: str) -> None:
    with pytest.raises(ServingError, match=said):
        Batcher(Parameters(max_batch_size=8)).run(Doubling(), feeds, ["y"], timed=False)  # type: ignore[arg-type]


def test_an_output_without_rows_is_refused() -> None:
    with pytest.raises(ServingError, match="0th dimension does not equal"):
        run(Batcher(Parameters()), Doubling(np.sum), 1, 2)


def test_a_full_queue_refuses_and_an_error_reaches_everyone_in_the_batch() -> None:
    def fail(_: Any) -> Any:
        raise ServingError(Code.INTERNAL, "broken")

    batcher = Batcher(Parameters(max_batch_size=2, timeout_micros=30_000_000, max_enqueued_batches=1))
    model = Doubling(fail)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(run, batcher, model, 1)
        while not batcher._open:
            pass
        with pytest.raises(ServingError, match="queue to which this task was submitted is full"):
            run(batcher, Doubling(), 1)
        with pytest.raises(ServingError, match="broken"):
            run(batcher, model, 2)
        with pytest.raises(ServingError, match="broken"):
            waiting.result()


def test_a_server_with_batching_answers_on_both_ports(serve: Serve, saved: Saved, tmp_path: Path) -> None:
    publish(saved.half_plus_two, tmp_path / "line" / "1")
    (tmp_path / "batching.config").write_text(FULL)
    client = serve(
        model_name="line",
        model_base_path=str(tmp_path / "line"),
        enable_batching=True,
        batching_parameters_file=str(tmp_path / "batching.config"),
    )

    def ask(number: int) -> Any:
        status, body, _ = client.rest("POST", "/v1/models/line:predict", {"instances": [number, number]})
        return status, json.loads(body).get("predictions")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))

    assert answers == [(200, [number / 2 + 2] * 2) for number in range(40)]
    status, body, _ = client.rest("POST", "/v1/models/line:predict", {"instances": [1.0] * 9})
    assert (status, "Task size 9 is larger" in body) == (400, True)
