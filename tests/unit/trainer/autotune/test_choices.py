"""What a training decides for itself, by numbers that others measure."""

from dataclasses import dataclass, field

import pytest

from trainyard_trainer.autotune.choices import (
    Choices,
    ExecutionOptions,
    Timing,
    batch_limit,
    choose_batch_size,
    choose_execution,
    execution_options,
    first_batch,
)
from trainyard_trainer.errors import BadInput
from trainyard_trainer.execution import Execution

PLAIN, XLA = Execution(), Execution(jit_compile=True)
BF16, BF16_XLA = Execution("mixed_bfloat16"), Execution("mixed_bfloat16", True)
ALL = ExecutionOptions(("float32", "mixed_bfloat16"), (False, True))
LONG = 10**9


@dataclass
class FakeBenchmark:
    """Knows how long a step takes each way; a way it does not know is not possible."""

    seconds_by_execution: dict[Execution, float]
    losses: dict[Execution, float] = field(default_factory=dict)
    prepared: list[Execution] = field(default_factory=list)

    def prepare(self, execution: Execution) -> float | None:
        self.prepared.append(execution)
        return 0.25 if execution in self.seconds_by_execution else None

    def seconds(self, execution: Execution) -> float:
        return self.seconds_by_execution[execution]

    def compare(self, one: Execution, other: Execution) -> tuple[Timing, Timing]:
        first, second = (Timing(self.seconds_by_execution[way], self.losses.get(way, 0.5)) for way in (one, other))
        return first, second


@pytest.mark.parametrize(
    ("seconds", "losses", "best"),
    [
        ({PLAIN: 1.0, BF16: 0.9, XLA: 0.95}, {}, PLAIN),
        ({PLAIN: 1.0, BF16: 0.9, XLA: 0.4}, {}, XLA),
        ({PLAIN: 1.0, BF16: 0.5, BF16_XLA: 0.6}, {}, BF16),
        ({PLAIN: 1.0, BF16: 0.5, BF16_XLA: 0.3}, {}, BF16_XLA),
        ({PLAIN: 1.0, BF16: 0.1, XLA: 1.5}, {BF16: 0.52}, PLAIN),
        ({PLAIN: 1.0, BF16: 0.1, XLA: 1.5}, {BF16: float("nan")}, PLAIN),
        ({PLAIN: 1.0, BF16: 0.5, BF16_XLA: 0.4}, {BF16: 0.505}, BF16_XLA),
        ({PLAIN: 1.0, BF16: 0.5}, {BF16: 0.4}, BF16),
        ({PLAIN: 1.0}, {}, PLAIN),
    ],
)
def test_the_fastest_way_that_keeps_the_loss_is_taken(
    seconds: dict[Execution, float], losses: dict[Execution, float], best: Execution
) -> None:
    assert choose_execution(FakeBenchmark(seconds, losses), ALL, steps=LONG).execution == best


@pytest.mark.parametrize(("steps", "tries"), [(10_000, 1), (60_000, 3)])
def test_a_training_that_is_short_is_not_kept_waiting(steps: int, tries: int) -> None:
    bench = FakeBenchmark({PLAIN: 0.001, BF16: 0.0005, BF16_XLA: 0.001})

    chosen = choose_execution(bench, ALL, steps=steps)

    assert len(bench.prepared) == tries
    assert ("about 10 s of training are too few" in chosen.why) == (tries == 1)


def test_what_the_spec_says_is_not_measured() -> None:
    bench = FakeBenchmark({})

    assert choose_execution(bench, ExecutionOptions(("mixed_bfloat16",), (True,)), steps=LONG).execution == BF16_XLA
    assert bench.prepared == []


@pytest.mark.parametrize(
    ("precision", "jit", "device", "expected"),
    [
        ("Auto", None, {"gpus": 0, "bfloat16": False, "alone": True}, ExecutionOptions(("float32",), (False, True))),
        ("Auto", None, {"gpus": 0, "bfloat16": True, "alone": True}, ALL),
        (
            "Auto",
            False,
            {"gpus": 1, "bfloat16": True, "alone": True},
            ExecutionOptions(("float32", "mixed_bfloat16"), (False,)),
        ),
        (
            "Auto",
            None,
            {"gpus": 2, "bfloat16": True, "alone": False},
            ExecutionOptions(("float32", "mixed_bfloat16"), (False,)),
        ),
        (
            "mixed_float16",
            True,
            {"gpus": 1, "bfloat16": True, "alone": True},
            ExecutionOptions(("mixed_float16",), (True,)),
        ),
    ],
)
def test_a_device_leaves_these_ways_open(
    precision: str, jit: bool | None, device: dict[str, int], expected: ExecutionOptions
) -> None:
    assert execution_options(precision, jit, **device) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("precision", "jit", "alone", "words"),
    [
        ("mixed_float16", None, True, "needs a GPU.*use Auto, float32 or mixed_bfloat16"),
        ("float32", True, False, "single device only"),
    ],
)
def test_what_a_device_cannot_do_is_refused(precision: str, jit: bool | None, alone: bool, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        execution_options(precision, jit, bfloat16=True, gpus=0, alone=alone)


@pytest.mark.parametrize(
    ("speeds", "limit", "size"),
    [
        ({32: 10, 64: 19, 128: 30, 256: 32}, 1024, 128),
        ({32: 10, 64: 19, 128: 30, 256: None}, 1024, 128),
        ({32: 10, 64: 19}, 64, 64),
        ({32: 10, 64: 10.5, 128: 100}, 1024, 32),
        ({32: None, 16: None, 8: 5}, 1024, 8),
        ({}, 32, 32),
        ({}, 4, 4),
    ],
)
def test_the_batch_doubles_as_long_as_that_helps_and_fits(
    speeds: dict[int, float | None], limit: int, size: int
) -> None:
    assert choose_batch_size(lambda tried: speeds[tried], limit=limit) == size


@pytest.mark.parametrize(("replicas", "size"), [(1, 32), (2, 64), (3, 128), (8, 256)])
def test_several_devices_begin_with_32_rows_each_or_more_and_double_that(replicas: int, size: int) -> None:
    tried: list[int] = []

    def speed(batch_size: int) -> float:
        tried.append(batch_size)
        return 10.0

    assert choose_batch_size(speed, limit=1024, first=first_batch(replicas)) == size
    assert tried == [size, 2 * size]


def test_a_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="one row does not fit"):
        choose_batch_size(lambda size: None, limit=64)


@pytest.mark.parametrize(
    ("rows", "most", "limit"), [(95, 10**6, 4), (1, 10**6, 1), (5000, 10**6, 128), (10**6, 1000, 512)]
)
def test_an_epoch_keeps_enough_steps(rows: int, most: int, limit: int) -> None:
    assert batch_limit(rows, most=most) == limit


def test_the_choices_come_back_from_a_checkpoint() -> None:
    choices = Choices(64, BF16_XLA, "1 x NVIDIA H100")

    assert Choices.from_wire(choices.to_wire()) == choices
