"""What a training decides at its start where the spec says Auto: batch size, precision, XLA. Pure: others measure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypedDict

from trainyard_trainer.errors import BadInput
from trainyard_trainer.execution import BFLOAT16, FLOAT16, FLOAT32, Execution

AUTO = "Auto"
FIRST_BATCH = 32
MIN_STEPS = 20
"""Steps an epoch has at least with an automatic batch size."""
_BATCH_GAIN = 1.1
_PRECISION_GAIN, _JIT_GAIN = 1.2, 1.1
"""How much faster another way must be. A lower precision must earn more, as it gives something up."""
_LOSS_TOLERANCE = 0.02
_WORTH = 10
"""A training must be expected to take this many times the time that trying other ways takes."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What holds from the first step to the last, also after a restart: it is kept in the checkpoints."""

    batch_size: int
    execution: Execution
    device: str

    def to_wire(self) -> dict[str, object]:
        return {
            "batchSize": self.batch_size,
            "precision": self.execution.precision,
            "jitCompile": self.execution.jit_compile,
            "device": self.device,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> "Choices":
        """Return the choices a checkpoint holds."""
        return cls(wire["batchSize"], Execution(wire["precision"], wire["jitCompile"]), wire["device"])


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """The precisions and settings of XLA to choose among, the plainest first."""

    precisions: tuple[str, ...]
    jit_compile: tuple[bool, ...]

    @property
    def plainest(self) -> Execution:
        """The way to compute that needs no reason."""
        return Execution(self.precisions[0], self.jit_compile[0])

    @property
    def others(self) -> int:
        """How many settings there are to try beside the plainest."""
        return len(self.precisions) + len(self.jit_compile) - 2


def execution_options(
    precision: str, jit_compile: bool | None, *, bfloat16: bool, gpus: int, alone: bool
) -> ExecutionOptions:
    """Return what the spec leaves open on a device that may have fast bfloat16, and may be the only one.

    Raises:
        BadInput: the device cannot do what the spec asks for.
    """
    if precision == FLOAT16 and not gpus:
        raise BadInput(
            f"fit.precision is {FLOAT16}, which needs a GPU: without one it is about a hundred times slower than "
            f"float32; use Auto, float32 or {BFLOAT16}, or set spec.roles.worker.gpus"
        )
    if jit_compile and not alone:
        raise BadInput(
            "fit.jitCompile is true, which works on a single device only, and this training has several: leave it out"
        )
    automatic = (FLOAT32, BFLOAT16) if bfloat16 else (FLOAT32,)
    return ExecutionOptions(
        automatic if precision == AUTO else (precision,),
        (False, True)[: 2 if alone else 1] if jit_compile is None else (jit_compile,),
    )


@dataclass(frozen=True, slots=True)
class Timing:
    """What some steps took, in seconds a step, and the mean loss of their rows."""

    seconds: float
    loss: float


class _Change(TypedDict, total=False):
    precision: str
    jit_compile: bool


class Benchmark(Protocol):
    """Runs steps for moments, always from the same weights."""

    def prepare(self, execution: Execution) -> float | None:
        """Make an execution ready; returns the seconds it took, or nothing where it is not possible."""

    def seconds(self, execution: Execution) -> float:
        """Return about how long a step takes."""

    def compare(self, one: Execution, other: Execution) -> tuple[Timing, Timing]:
        """Run two executions in turns."""


@dataclass(frozen=True, slots=True)
class ExecutionChoice:
    """How to compute, and why."""

    execution: Execution
    why: str


def choose_execution(benchmark: Benchmark, options: ExecutionOptions, *, steps: int) -> ExecutionChoice:
    """Return the fastest way for a training of so many steps, where finding out is worth it."""
    best = options.plainest
    if not options.others:
        return ExecutionChoice(best, "as the spec says")
    traced = benchmark.prepare(best) or 0.0
    expected = steps * benchmark.seconds(best)
    # XLA takes about four times as long to compile as TensorFlow takes to trace.
    if expected < _WORTH * options.others * (4 * traced + 0.3):
        return ExecutionChoice(best, f"about {expected:.2g} s of training are too few to try other ways")
    tried = []
    changes: list[tuple[float, _Change]] = [
        (_PRECISION_GAIN, _Change(precision=precision)) for precision in options.precisions[1:]
    ]
    changes += [(_JIT_GAIN, _Change(jit_compile=jit_compile)) for jit_compile in options.jit_compile[1:]]
    for gain, change in changes:
        other = replace(best, **change)
        speed = _speed(benchmark, best, other)
        tried.append(f"{other} {'does not do' if speed is None else f'is {speed:.2f} times as fast'}")
        if speed is not None and speed >= gain:
            best = other
    return ExecutionChoice(best, "measured: " + ", ".join(tried))


def _speed(benchmark: Benchmark, best: Execution, other: Execution) -> float | None:
    """Return how many times faster another way is; nothing where it comes to a higher loss."""
    if benchmark.prepare(other) is None:
        return None
    reference, timing = benchmark.compare(best, other)
    if not timing.loss - reference.loss <= _LOSS_TOLERANCE * abs(reference.loss):
        return None
    return reference.seconds / timing.seconds


def batch_limit(rows: int, *, most: int) -> int:
    """Return the largest batch size to try: a power of two that leaves an epoch enough steps."""
    return 1 << (max(1, min(rows // MIN_STEPS, most)).bit_length() - 1)


def first_batch(replicas: int) -> int:
    """Return the batch size to begin with on so many devices: a power of two, of at least 32 rows for each of them."""
    return FIRST_BATCH << (replicas - 1).bit_length()


def choose_batch_size(speed: Callable[[int], float | None], *, limit: int, first: int = FIRST_BATCH) -> int:
    """Return the batch size beyond which doubling it does not help; `speed` gives rows a second where it fits.

    Raises:
        BadInput: not even one row fits.
    """
    size = min(first, limit)
    if size == limit:
        return size
    best = speed(size)
    while best is None:
        if size == 1:
            raise BadInput("a batch of one row does not fit into memory: use a smaller model, or a larger device")
        size //= 2
        best = speed(size)
        limit = size
    while 2 * size <= limit:
        faster = speed(2 * size)
        if faster is None or faster < _BATCH_GAIN * best:
            return size
        size, best = 2 * size, faster
    return size
